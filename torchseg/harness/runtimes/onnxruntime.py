"""Runs an .onnx file in ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.modelfile.layout import Layout, from_layout, layout_of, to_layout, to_pixels
from torchseg.modelfile.metadata import count_classes

_NUMBERS: dict[str, type[np.number[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


class OnnxRuntime:
    """ONNX Runtime's CPU provider with a fixed number of threads; uses the first input and the first output."""

    def __init__(self, *, threads: int) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ImportError("running .onnx files needs onnxruntime: pip install onnxruntime") from error
        self._library = onnxruntime
        self._threads = threads
        self._session: Any = None
        self._shape: tuple[int | None, ...] = ()
        self._layout: Layout = "NCHW"
        self._number: type[np.number[Any]] = np.float32
        self._classes: int | None = None
        self._path: Path | None = None

    def load(self, path: Path, *, trace: Path | None = None) -> None:
        """Opens the file; raises ValueError if it is damaged or does not take images.

        Args:
            path: the .onnx file.
            trace: prefix of the path of a trace of every node, which slows predictions down; see `end_trace`.
        """
        options = self._library.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only; its warnings are about fusions that it did not make
        if trace is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(trace)
        try:
            session = self._library.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exception classes are private and share no base below Exception
            raise ValueError(f"{path} is not an ONNX file that ONNX Runtime can open: {_first_line(error)}") from error
        described = session.get_inputs()[0]
        if described.type not in _NUMBERS:
            raise ValueError(f"{path} takes {described.type}; export it with a float input, or one of uint8 images")
        self._number = _NUMBERS[described.type]
        self._shape = tuple(side if isinstance(side, int) else None for side in described.shape)
        self._layout = layout_of(self._shape, usual="NCHW")
        self._classes = count_classes(session.get_modelmeta().custom_metadata_map)
        self._session = session
        self._path = path

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(B, K, H, W)` of images `(B, C, H, W)`; B must be a multiple of a fixed batch size of the file."""
        if self._session is None:
            raise ValueError("no .onnx file is loaded; call load first")
        pixels = to_pixels(images) if self._number is np.uint8 else images.astype(self._number, copy=False)
        batch = to_layout(pixels, self._layout)
        step = self._shape[0] or len(batch)
        if len(batch) % step:
            raise ValueError(f"the file takes {step} images at a time and {len(batch)} came; give a multiple")
        parts = [self._run(batch[start : start + step]) for start in range(0, len(batch), step)]
        answer = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return from_layout(answer, self._layout, classes=self._classes)

    def _run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        name = self._session.get_inputs()[0].name
        try:
            logits = self._session.run(None, {name: batch})[0]
        except Exception as error:  # see `load`: the exception classes are private
            raise ValueError(
                f"the file takes {list(self._shape)} and {list(batch.shape)} came, or it fails: {_first_line(error)}"
            ) from error
        return np.asarray(logits, np.float32)

    def end_trace(self) -> Path:
        """Ends the trace that `load` started and returns the path of its JSON file."""
        return Path(self._session.end_profiling())

    def describe(self) -> RuntimeInfo:
        """ONNX Runtime's version, number of threads and arithmetic."""
        return RuntimeInfo(
            name="onnxruntime",
            version=self._library.__version__,
            threads=self._threads,
            arithmetic=onnx_arithmetic(self._path) if self._path else "float32",
            input_shape=self._shape,
            layout=self._layout,
        )


def onnx_arithmetic(path: Path) -> str:
    """Number format in which the convolutions compute, and the stored format if it differs, as in `RuntimeInfo`.

    Not called in `load`: parsing the file a second time must not count as load time.
    """
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    kinds = {node.op_type for node in graph.node}
    if kinds & {"ConvInteger", "MatMulInteger"}:
        return "int8 (dynamic)"
    if kinds & {"QLinearConv", "QuantizeLinear"}:
        return "int8"
    if "DequantizeLinear" in kinds:
        return "float32 from int8"  # only the weights are quantized, and expanded at load
    halves = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in graph.initializer)
    return "float32 from float16" if halves else "float32"  # the CPU provider has no half-precision convolution


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
