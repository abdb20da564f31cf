"""Runs an .onnx file in ONNX Runtime on the CPU."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.runtimes.adapter import FileAdapter, check_single_input
from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.modelfile.metadata import count_classes
from torchseg.modelfile.run_options import DEFAULT_OPTIONS, RunOptions

_FLOATS: dict[str, type[np.floating[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
_PIXELS: dict[str, type[np.integer[Any]]] = {
    "tensor(uint8)": np.uint8,
    "tensor(int16)": np.int16,
    "tensor(uint16)": np.uint16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class OnnxRuntime:
    """ONNX Runtime's CPU provider with a fixed number of threads."""

    def __init__(self, *, threads: int) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ImportError("running .onnx files needs onnxruntime: pip install onnxruntime") from error
        self._library = onnxruntime
        self._threads = threads
        self._session: Any = None
        self._adapter: FileAdapter | None = None
        self._float: type[np.floating[Any]] = np.float32
        self._path: Path | None = None

    def load(self, path: Path, options: RunOptions = DEFAULT_OPTIONS, *, trace: Path | None = None) -> None:
        """Opens the file; raises ValueError if it is damaged or does not take images.

        Args:
            path: the .onnx file.
            options: for a file that does not say enough.
            trace: prefix of the path of a trace of every node, which slows predictions down; see `end_trace`.
        """
        try:
            session = self._library.InferenceSession(
                str(path), self._session_options(trace), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exception classes are private and share no base below Exception
            raise ValueError(f"{path} is not an ONNX file that ONNX Runtime can open: {_first_line(error)}") from error
        check_single_input([each.name for each in session.get_inputs()])
        described = session.get_inputs()[0]
        if described.type not in _FLOATS and described.type not in _PIXELS:
            raise ValueError(f"{path} takes {described.type}; export it with a float input, or one of uint8 images")
        self._float = _FLOATS.get(described.type, np.float32)
        classes = count_classes(session.get_modelmeta().custom_metadata_map, path=path)
        self._adapter = FileAdapter(
            [side if isinstance(side, int) and side > 0 else None for side in described.shape],
            usual="NCHW",
            outputs=[each.name for each in session.get_outputs()],
            pixels=_PIXELS.get(described.type),
            options=options,
            classes=lambda: classes,
        )
        self._session = session
        self._path = path

    def _session_options(self, trace: Path | None) -> Any:
        options = self._library.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only; its warnings are about fusions that it did not make
        if trace is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(trace)
        return options

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(B, K, H, W)` of images `(B, C, H, W)`."""
        if self._adapter is None:
            raise ValueError("no .onnx file is loaded; call load first")
        return self._adapter.predict(images, self._run)

    def _run(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        name = self._session.get_inputs()[0].name
        values = batch.astype(self._float, copy=False) if batch.dtype == np.float32 else batch
        try:
            return [np.asarray(each) for each in self._session.run(None, {name: values})]
        except Exception as error:  # see `load`: the exception classes are private
            raise ValueError(f"{self._path} fails on images of {list(batch.shape)}: {_first_line(error)}") from error

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
            input_shape=self._adapter.shape if self._adapter else (),
            layout=self._adapter.layout if self._adapter else "NCHW",
            note=self._adapter.note if self._adapter else "",
            gives_classes=bool(self._adapter and self._adapter.gives_classes),
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
    text = str(error).strip() or type(error).__name__
    return re.sub(r"/onnxruntime_src/.*\) (?=[A-Z])", " ", text.splitlines()[0])[:300]  # its C++ function says nothing
