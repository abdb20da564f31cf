"""Gives the inputs of concatenations in an int8 file the range of the output."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from torchseg.record import plain_json

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Measured = dict[str, Any]
Ranges = dict[str, Measured]  # by name of the tensor
_WIDENED = 2.0  # largest factor for a tensor that has other readers, too: it costs them one bit of eight
_SAME_STEP = ("Resize", "MaxPool")  # the quantizer gives their output the same range as their input


def share_concat_ranges(model: ModelProto, ranges: bytes, *, left_out: Collection[str] = ()) -> bytes:
    """Gives inputs of concatenations the range of the output where that costs little or no accuracy.

    ONNX Runtime copies an input that has the range of the output, but requantizes every value of one that has not. A
    tensor that only the concatenation reads is rounded to the steps of the output in any case. A tensor with other
    readers keeps its own range if the range of the output is more than twice as wide.

    What a resize enlarges can reach further than the result, as bilinear weights average peaks away. The range that a
    concatenation shares holds the values of all tensors that share it, so that none is cut off.

    Args:
        model: float32.
        ranges: of the model's tensors, in ONNX Runtime's JSON format.
        left_out: names of the concatenations that are computed in float.

    Returns:
        The ranges in the same format, with those of such tensors widened.
    """
    table = plain_json(ranges.decode())
    known, measured = table["data"], dict(table["data"])
    nodes = [node for node in model.graph.node if node.name not in left_out]
    concats = [node for node in nodes if node.op_type == "Concat" and node.output[0] in known]
    makers = {name: node for node in model.graph.node for name in node.output}
    readers = Counter(name for node in model.graph.node for name in node.input)
    readers.update(value.name for value in model.graph.output)

    def costs_little(tensors: list[str], whole: Measured) -> bool:
        alone = all(readers[each] == 1 for each in tensors)
        return alone or _width(whole) <= _WIDENED * _width(measured[tensors[0]])

    before: Ranges = {}
    while before != known:  # ranges only grow, and take ends that were measured
        before = dict(known)
        # Backwards, so that a widened range also reaches the inputs of an earlier concatenation.
        for node in reversed(concats):
            inputs = [_same_range(name, makers) for name in node.input]
            _share(known, node.output[0], [each for each in inputs if known.keys() >= set(each)], makers, costs_little)
    return json.dumps(table).encode()


def _share(
    known: Ranges,
    output: str,
    inputs: list[list[str]],
    makers: dict[str, NodeProto],
    costs_little: Callable[[list[str], Measured], bool],
) -> None:
    """Gives a concatenation and those of its inputs that may have it one range that holds their values."""
    whole = known[output]
    taken = [each for each in inputs if _may_end_at(whole, makers.get(each[-1])) and costs_little(each, whole)]
    joined = _joined([whole, *(known[name] for each in taken for name in each)])
    kept = [name for each in taken if _may_end_at(joined, makers.get(each[-1])) for name in each]
    known.update(dict.fromkeys([output, *kept], joined))


def _joined(ranges: list[Measured]) -> Measured:
    """The range that holds all of these."""
    low, high = (min(ranges, key=lambda each: _ends(each)[0]), max(ranges, key=lambda each: _ends(each)[1]))
    return high | {"lowest": low["lowest"]}


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
