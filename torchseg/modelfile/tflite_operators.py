"""The operators of a TFLite file as it stores them, before any delegate took some."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TfliteOperator:
    """One operator.

    Attributes:
        kind: e.g. `CONV_2D`.
        name: of the tensor that it writes.
        inputs: tensor numbers; -1 for one that is left out.
        outputs: tensor numbers.
        input_shapes: in the order of the inputs; empty for one that is left out.
        output_shapes: in the order of the outputs.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]


def tflite_operators(path: Path) -> list[TfliteOperator]:
    """Operators of the main graph in the order in which they run."""
    interpreter = open_plain(path)
    tensors = {int(each["index"]): each for each in interpreter.get_tensor_details()}
    return [_operator(each, tensors) for each in interpreter._get_ops_details() if each["op_name"] != "DELEGATE"]


def open_plain(path: Path) -> Any:
    """An interpreter without a delegate: every constant keeps its own tensor.

    A file with an operator that XNNPACK alone knows is opened with it.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=plain)
        interpreter.allocate_tensors()
    except RuntimeError:
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    return interpreter


def _operator(details: dict[str, Any], tensors: dict[int, dict[str, Any]]) -> TfliteOperator:
    inputs, outputs = (tuple(int(index) for index in details[key]) for key in ("inputs", "outputs"))
    return TfliteOperator(
        kind=str(details["op_name"]),
        name=str(tensors[outputs[0]]["name"]),
        inputs=inputs,
        outputs=outputs,
        input_shapes=tuple(_shape(tensors.get(index)) for index in inputs),
        output_shapes=tuple(_shape(tensors.get(index)) for index in outputs),
    )


def _shape(tensor: dict[str, Any] | None) -> tuple[int, ...]:
    return tuple(int(side) for side in tensor["shape"]) if tensor else ()
