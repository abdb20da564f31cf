"""Runs a .tflite file in LiteRT with XNNPACK."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.runtimes.adapter import FileAdapter, check_single_input
from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.modelfile.contents import declared_sides
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.run_options import DEFAULT_OPTIONS, RunOptions
from torchseg.modelfile.tflite import IDENTIFIER

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class LitertRuntime:
    """LiteRT's interpreter with XNNPACK for the operators it supports."""

    def __init__(self, *, threads: int) -> None:
        try:
            from ai_edge_litert import interpreter
        except ModuleNotFoundError as error:
            raise ImportError(
                "running .tflite files needs ai-edge-litert: pip install 'torchseg-compress[tf]'"
            ) from error
        self._library = interpreter
        self._threads = threads
        self._interpreter: Any = None
        self._input: dict[str, Any] = {}
        self._outputs: list[dict[str, Any]] = []
        self._shape: tuple[int, ...] = ()  # of the input for which memory is allocated
        self._adapter: FileAdapter | None = None
        self._path: Path | None = None

    def load(self, path: Path, options: RunOptions = DEFAULT_OPTIONS) -> None:
        """Opens the file; raises ValueError if it is damaged or does not take images."""
        with path.open("rb") as opened:
            if opened.read(8)[4:] != IDENTIFIER:
                raise ValueError(
                    f"{path} is not a TFLite file: its header lacks {IDENTIFIER.decode()}; export it again"
                )
        try:
            interpreter = self._library.Interpreter(model_path=str(path), num_threads=self._threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{path} is not a TFLite file that LiteRT can open: {_in_one_line(error)}") from error
        self._interpreter = interpreter
        self._path = path
        file = ModelFile(path)  # not read here: that must not count as load time
        check_single_input([str(each["name"]) for each in interpreter.get_input_details()])
        self._input = interpreter.get_input_details()[0]
        self._outputs = interpreter.get_output_details()
        self._shape = tuple(int(side) for side in self._input["shape"])
        number = np.dtype(self._input["dtype"])
        is_pixels = np.issubdtype(number, np.integer) and number != np.int8 and not self._input["quantization"][0]
        self._adapter = FileAdapter(
            open_sides(self._input),
            usual="NHWC",
            outputs=output_names(interpreter, options.output),
            pixels=number.type if is_pixels else None,
            options=options,
            classes=lambda: file.num_classes,
        )

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(B, K, H, W)` of images `(B, C, H, W)`."""
        if self._adapter is None:
            raise ValueError("no .tflite file is loaded; call load first")
        return self._adapter.predict(images, self._run)

    def _run(self, batch: NDArray[Any]) -> list[NDArray[Any]]:
        if batch.shape != self._shape:  # of a file of any size
            self._interpreter.resize_tensor_input(self._input["index"], batch.shape)
            self._interpreter.allocate_tensors()
            self._shape = batch.shape
        self._interpreter.set_tensor(self._input["index"], _quantize(batch, self._input))
        try:
            self._interpreter.invoke()
        except RuntimeError as error:
            raise ValueError(f"{self._path} fails while it runs: {_in_one_line(error)}; export it again") from error
        return [_dequantize(self._interpreter.get_tensor(each["index"]), each) for each in self._outputs]

    def describe(self) -> RuntimeInfo:
        """LiteRT's version, number of threads, arithmetic, and the operators that XNNPACK did not take."""
        operators = self._interpreter._get_ops_details() if self._interpreter else []
        return RuntimeInfo(
            name="litert",
            version=version("ai-edge-litert"),
            threads=self._threads,
            arithmetic=self._arithmetic(operators),
            input_shape=self._adapter.shape if self._adapter else (),
            layout=self._adapter.layout if self._adapter else "NHWC",
            note=self._adapter.note if self._adapter else "",
            gives_classes=bool(self._adapter and self._adapter.gives_classes),
            fast_path="XNNPACK",
            leftovers=tuple(sorted(self._leftovers(operators))),
        )

    def _leftovers(self, operators: list[dict[str, Any]]) -> list[str]:
        """Operator types that XNNPACK did not take.

        An operator inside the delegate has no output data, unless that tensor is also an output of the delegate.
        """
        handed_out = {int(i) for each in operators if each["op_name"] == "DELEGATE" for i in each["outputs"]}
        return [
            str(each["op_name"])
            for each in operators
            if each["op_name"] != "DELEGATE"
            and any(int(i) not in handed_out and self._has_data(int(i)) for i in each["outputs"])
        ]

    def _has_data(self, index: int) -> bool:
        try:
            self._interpreter.get_tensor(index)
        except ValueError:
            return False
        return True

    def _arithmetic(self, operators: list[dict[str, Any]]) -> str:
        """Number format in which most convolutions compute.

        CPUs without float16 kernels expand float16 weights at load. One such convolution is enough to report that: an
        fp16 file may have more small layers in float32 than large ones in float16.
        """
        if self._interpreter is None:
            return "float32"
        numbers = {each["index"]: np.dtype(each["dtype"]).name for each in self._interpreter.get_tensor_details()}
        expanded = {int(each["outputs"][0]): numbers[each["inputs"][0]] for each in operators if _expands(each)}
        kinds = Counter(
            (numbers[each["inputs"][0]], expanded.get(int(each["inputs"][1]), numbers[each["inputs"][1]]))
            for each in operators
            if each["op_name"] in _CONVOLUTIONS
        )
        if ("float32", "float16") in kinds:
            return "float32 from float16"
        activations, weights = kinds.most_common(1)[0][0] if kinds else ("float32", "float32")
        if activations == weights:
            return activations
        return f"{weights} (dynamic)"


def open_sides(details: dict[str, Any]) -> list[int | None]:
    """Sides of the input, see `declared_sides`."""
    return [*declared_sides(details["shape"], details.get("shape_signature"))]


def output_names(interpreter: Any, wanted: str = "") -> list[str]:
    """Names of the outputs: those of tensors if the wanted one is among them, else those of the file's one signature.

    Converters name tensors after operators, such as `StatefulPartitionedCall:0`; a signature keeps the author's names.
    """
    details = interpreter.get_output_details()
    names = [str(each["name"]) for each in details]
    signatures = interpreter._get_full_signature_list()
    if len(signatures) != 1 or wanted in names:
        return names
    by_index = {index: name for name, index in next(iter(signatures.values()))["outputs"].items()}
    return [str(by_index.get(each["index"], each["name"])) for each in details]


def _expands(operator: dict[str, Any]) -> bool:
    return str(operator["op_name"]) == "DEQUANTIZE"


def _quantize(values: NDArray[np.float32], details: dict[str, Any]) -> NDArray[Any]:
    number = np.dtype(details["dtype"])
    if not np.issubdtype(number, np.integer):
        return values.astype(number, copy=False)
    scale, zero_point = details["quantization"]
    limits = np.iinfo(number)
    codes = np.round(values / scale) + zero_point if scale else np.round(values)
    return np.asarray(np.clip(codes, limits.min, limits.max), number)


def _dequantize(codes: NDArray[Any], details: dict[str, Any]) -> NDArray[Any]:
    scale, zero_point = details["quantization"]
    if not np.issubdtype(codes.dtype, np.integer) or not scale:
        return codes
    return np.asarray((codes.astype(np.float32) - zero_point) * np.float32(scale), np.float32)


def _in_one_line(error: Exception) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
