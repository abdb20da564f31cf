"""Ranges with which a concatenation in int8 copies its inputs instead of rounding them a second time."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Measured = dict[str, Any]
_WIDENED = 2.0  # times at most where others read the tensor, too: it costs them one bit of eight
_SAME_STEP = ("Resize", "MaxPool")  # the quantizer gives their output the range of their input


def share_concat_ranges(model: ModelProto, ranges: bytes) -> bytes:
    """Gives inputs of concatenations the range of the output, where that costs little or nothing.

    ONNX Runtime copies an input that has the output's range and looks up every number of one that has not. A tensor
    that a concatenation alone reads is rounded to the steps of the output in any case; one that others read keeps its
    range if that would more than double.

    Args:
        model: float32 graph.
        ranges: of its tensors, in ONNX Runtime's own notation.

    Returns:
        The ranges, those of such inputs widened.
    """
    table = json.loads(ranges)
    known = table["data"]
    makers = {name: node for node in model.graph.node for name in node.output}
    readers = Counter(name for node in model.graph.node for name in node.input)
    readers.update(value.name for value in model.graph.output)
    for node in reversed(model.graph.node):  # what a later concatenation widens is then as wide for its own inputs
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
    """The tensor, and those in front of it that have its range."""
    tensors = [name]
    while (maker := makers.get(tensors[-1])) is not None and maker.op_type in _SAME_STEP:
        tensors.append(maker.input[0])
    return tensors


def _may_end_at(measured: Measured, maker: NodeProto | None) -> bool:
    """Whether the integers of a tensor may stand for this range.

    The quantizer drops a ReLU because integers of its range have no smaller number than zero, and a clip likewise.
    """
    if maker is None or maker.op_type == "Clip":
        return False
    return maker.op_type != "Relu" or _ends(measured)[0] == 0


def _width(measured: Measured) -> float:
    low, high = _ends(measured)
    return high - low


def _ends(measured: Measured) -> tuple[float, float]:
    """Smallest and largest value; the quantizer has zero in every range."""
    low, high = (float(measured[end]["data"][0]) for end in ("lowest", "highest"))
    return min(low, 0.0), max(high, 0.0)
