"""Runs an .onnx file in OpenVINO on the CPU."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.harness.runtimes.onnxruntime import onnx_arithmetic
from torchseg.modelfile.layout import Layout, from_layout, layout_of, to_layout, to_pixels
from torchseg.modelfile.model_file import ModelFile

_PRECISION = "f32"  # by default it uses bfloat16 on CPUs that have it, which makes comparisons unfair


class OpenvinoRuntime:
    """OpenVINO's CPU plugin in float32 with a fixed number of threads; uses the first input and the first output."""

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
        self._shape: tuple[int | None, ...] = ()
        self._layout: Layout = "NCHW"
        self._takes_pixels = False
        self._file: ModelFile | None = None

    def load(self, path: Path, *, count_layers: bool = False) -> None:
        """Opens and compiles the file; raises ValueError if it is damaged or does not take images.

        Args:
            path: the .onnx file.
            count_layers: time every layer, which slows predictions down; see `layers`.
        """
        options = {
            "INFERENCE_NUM_THREADS": self._threads,
            "INFERENCE_PRECISION_HINT": _PRECISION,
            "PERFORMANCE_HINT": "LATENCY",
            "PERF_COUNT": count_layers,
        }
        try:
            model = self._library.Core().compile_model(str(path), "CPU", options)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(f"{path} is not a file that OpenVINO can open: {reason}") from error
        shape = model.input(0).get_partial_shape()
        self._takes_pixels = model.input(0).get_element_type().get_type_name() == "u8"
        self._shape = tuple(None if side.is_dynamic else side.get_length() for side in shape)
        self._layout = layout_of(self._shape, usual="NCHW")
        self._model = model.create_infer_request()
        self._file = ModelFile(path)  # not read here: that must not count as load time

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(B, K, H, W)` of images `(B, C, H, W)`; B must be a multiple of a fixed batch size of the file."""
        if self._model is None:
            raise ValueError("no .onnx file is loaded; call load first")
        batch = to_layout(to_pixels(images) if self._takes_pixels else images, self._layout)
        step = self._shape[0] or len(batch)
        sides = zip(self._shape[1:], batch.shape[1:], strict=True)
        if len(batch) % step or any(side not in (None, came) for side, came in sides):
            raise ValueError(f"the file takes {list(self._shape)} and {list(batch.shape)} came")
        answers = [self._run(batch[start : start + step]) for start in range(0, len(batch), step)]
        answer = np.concatenate(answers)
        classes = self._file.num_classes if self._file and answer.ndim == 3 else None
        return from_layout(answer, self._layout, classes=classes)

    def _run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        answer = self._model.infer([batch])
        return np.array(next(iter(answer.values())), np.float32)  # copied: the next request reuses this memory

    def layers(self) -> list[Any]:
        """OpenVINO's `ProfilingInfo` of each layer in the last prediction."""
        return list(self._model.get_profiling_info())

    def describe(self) -> RuntimeInfo:
        """OpenVINO's version, number of threads and arithmetic."""
        return RuntimeInfo(
            name="openvino",
            version=str(self._library.__version__),
            threads=self._threads,
            arithmetic=onnx_arithmetic(self._file.path) if self._file else "float32",
            input_shape=self._shape,
            layout=self._layout,
        )
