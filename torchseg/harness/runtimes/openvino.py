"""Runs an .onnx file in OpenVINO on the CPU."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.runtimes.adapter import FileAdapter, check_single_input
from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.harness.runtimes.onnxruntime import onnx_arithmetic
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.run_options import DEFAULT_OPTIONS, RunOptions

_PRECISION = "f32"  # by default it uses bfloat16 on CPUs that have it, which makes comparisons unfair
_PIXELS: dict[str, type[np.integer[Any]]] = {
    "u8": np.uint8, "i16": np.int16, "u16": np.uint16, "i32": np.int32, "i64": np.int64
}  # fmt: skip


class OpenvinoRuntime:
    """OpenVINO's CPU plugin in float32 with a fixed number of threads."""

    def __init__(self, *, threads: int) -> None:
        try:
            openvino = import_module("openvino")  # untyped; import_module also satisfies type checkers if it is missing
        except ModuleNotFoundError as error:
            raise ImportError(
                "running in OpenVINO needs openvino: pip install 'torchseg-compress[openvino]'"
            ) from error
        self._library = openvino
        self._threads = threads
        self._model: Any = None
        self._adapter: FileAdapter | None = None
        self._path: Path | None = None

    def load(self, path: Path, options: RunOptions = DEFAULT_OPTIONS, *, count_layers: bool = False) -> None:
        """Opens and compiles the file; raises ValueError if it is damaged or does not take images.

        Args:
            path: the .onnx file.
            options: for a file that does not say enough.
            count_layers: time every layer, which slows predictions down; see `layers`.
        """
        settings = {
            "INFERENCE_NUM_THREADS": self._threads,
            "INFERENCE_PRECISION_HINT": _PRECISION,
            "PERFORMANCE_HINT": "LATENCY",
            "PERF_COUNT": count_layers,
        }
        try:
            model = self._library.Core().compile_model(str(path), "CPU", settings)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(f"{path} is not a file that OpenVINO can open: {reason}") from error
        check_single_input([each.get_any_name() for each in model.inputs])
        shape = model.input(0).get_partial_shape()
        sides = () if shape.rank.is_dynamic else shape
        file = ModelFile(path)  # not read here: that must not count as load time
        self._adapter = FileAdapter(
            [None if side.is_dynamic else side.get_length() for side in sides],
            usual="NCHW",
            outputs=[each.get_any_name() for each in model.outputs],
            pixels=_PIXELS.get(model.input(0).get_element_type().get_type_name()),
            options=options,
            classes=lambda: file.num_classes,
        )
        self._model = model.create_infer_request()
        self._path = path

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(B, K, H, W)` of images `(B, C, H, W)`."""
        if self._adapter is None:
            raise ValueError("no .onnx file is loaded; call load first")
        return self._adapter.predict(images, self._run)

    def _run(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        answer = self._model.infer([batch])
        return [np.array(each) for each in answer.values()]  # copied: the next request reuses this memory

    def layers(self) -> list[Any]:
        """OpenVINO's `ProfilingInfo` of each layer in the last prediction."""
        return list(self._model.get_profiling_info())

    def describe(self) -> RuntimeInfo:
        """OpenVINO's version, number of threads and arithmetic."""
        return RuntimeInfo(
            name="openvino",
            version=str(self._library.__version__),
            threads=self._threads,
            arithmetic=onnx_arithmetic(self._path) if self._path else "float32",
            input_shape=self._adapter.shape if self._adapter else (),
            layout=self._adapter.layout if self._adapter else "NCHW",
            note=self._adapter.note if self._adapter else "",
            gives_classes=bool(self._adapter and self._adapter.gives_classes),
        )
