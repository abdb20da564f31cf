"""Gives the inputs of concatenations in an int8 file the range of the output."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from torchseg.record import plain_json

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Measured = dict[str, Any]
_WIDENED = 2.0  # largest factor for a tensor that has other readers, too: it costs them one bit of eight
_SAME_STEP = ("Resize", "MaxPool")  # the quantizer gives their output the same range as their input


def share_concat_ranges(model: ModelProto, ranges: bytes) -> bytes:
    """Gives inputs of concatenations the range of the output where that costs little or no accuracy.

    ONNX Runtime copies an input that has the range of the output, but requantizes every value of one that has not. A
    tensor that only the concatenation reads is rounded to the steps of the output in any case. A tensor with other
    readers keeps its own range if the range of the output is more than twice as wide.

    Args:
        model: float32.
        ranges: of the model's tensors, in ONNX Runtime's JSON format.

    Returns:
        The ranges in the same format, with those of such inputs widened.
    """
    table = plain_json(ranges.decode())
    known = table["data"]
    makers = {name: node for node in model.graph.node for name in node.output}
    readers = Counter(name for node in model.graph.node for name in node.input)
    readers.update(value.name for value in model.graph.output)
    # Backwards, so that a widened range also reaches the inputs of an earlier concatenation.
    for node in reversed(model.graph.node):
        if node.op_type != "Concat" or node.output[0] not in known:
            continue
        whole = known[node.output[0]]
        for name in node.input:
            tensors = _same_range(name, makers)
            if not known.keys() >= set(tensors) or not _may_end_at(whole, makers.get(tensors[-1])):
                continue
            alone = all(readers[each] == 1 for each in tensors)
            if alone or _width(whole) <= _WIDENED * _width(known[name]):
                known.update(dict.fromkeys(tensors, whole))
    return json.dumps(table).encode()


def _same_range(name: str, makers: dict[str, NodeProto]) -> list[str]:
    """The tensor, and the tensors before it that must have the same range."""
    tensors = [name]
    while (maker := makers.get(tensors[-1])) is not None and maker.op_type in _SAME_STEP:
        tensors.append(maker.input[0])
    return tensors


def _may_end_at(measured: Measured, maker: NodeProto | None) -> bool:
    """Whether the output of `maker` may take this range.

    The quantizer removes a ReLU or a Clip, because the integers of its output cannot represent the values that it cuts
    off. With a wider range they could.
    """
    if maker is None or maker.op_type == "Clip":
        return False
    return maker.op_type != "Relu" or _ends(measured)[0] == 0


def _width(measured: Measured) -> float:
    low, high = _ends(measured)
    return high - low


def _ends(measured: Measured) -> tuple[float, float]:
    """Smallest and largest value of a range, extended to contain zero as the quantizer does."""
    low, high = (float(measured[end]["data"][0]) for end in ("lowest", "highest"))
    return min(low, 0.0), max(high, 0.0)
