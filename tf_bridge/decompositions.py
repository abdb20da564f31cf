"""Rewrites operators that a format lacks, or that its exporter gets wrong, in terms of operators that it has."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Graph


def decompositions(graph: Graph) -> Mapping[Any, Callable[..., Any]]:
    """The table for `ExportedProgram.run_decompositions`.

    Args:
        graph: of the program. An operator whose places of the largest values are used stays as it is: its parts have
            none.
    """
    import torch

    aten = torch.ops.aten
    table: dict[Any, Callable[..., Any]] = {
        aten.avg_pool2d.default: _avg_pool2d,
        aten.copy.default: _copied,
        aten.copysign.Scalar: _with_sign,
        aten.copysign.Tensor: _with_sign,
        aten.cumprod.default: _running("mul"),
        aten.erfc.default: lambda values: 1 - torch.erf(values),
        aten.fill.Tensor: _copied,
        aten.hypot.default: _hypotenuse,
        aten.kthvalue.default: _kth_smallest,
        aten.median.default: _median_of_all,
        aten.median.dim: _median,
        aten.rrelu.default: _randomised_relu,
        aten.scaled_dot_product_attention.default: _attention,
        aten.select_scatter.default: _written_at,
        aten.signbit.default: lambda values: values < 0,
        aten.slice_scatter.default: _written_between,
    }
    places = [node for node in graph.nodes if node.target is operator.getitem and node.args[1] == 1 and node.users]
    used = {node.args[0].target for node in places}
    return table | {target: function for target, function in _values_alone().items() if target not in used}


def _values_alone() -> dict[Any, Callable[..., Any]]:
    """Operators that return values and their places, rewritten without the places."""
    import torch

    aten = torch.ops.aten
    return {
        aten.adaptive_max_pool2d.default: _without_places(_adaptive_max_pool2d),
        aten.cummax.default: _without_places(_running("maximum")),
        aten.cummin.default: _without_places(_running("minimum")),
    }


def _avg_pool2d(
    image: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average pooling with another divisor than the area of the window; others are not decomposed.

    ONNX has no such divisor, and PyTorch's exporter drops it silently.
    """
    import torch

    if divisor_override is None:
        return NotImplemented  # type: ignore[no-any-return]
    kernel, padding, stride = _pair(kernel), _pair(padding), _pair(stride or kernel)
    if ceil_mode:  # the last windows reach beyond the padding, where PyTorch counts nothing: zeros there count in full
        beyond = [_beyond(*each) for each in zip(image.shape[-2:], kernel, stride, padding, strict=True)]
        (top, left), (bottom, right) = padding, beyond
        image = torch.nn.functional.pad(image, (left, right, top, bottom))
        padding = (0, 0)
    mean: Tensor = torch.ops.aten.avg_pool2d.default(image, kernel, stride, padding, False, True)
    return mean * (math.prod(kernel) / divisor_override)


def _pair(values: Sequence[int]) -> tuple[int, int]:
    return (values[0], values[-1])


def _beyond(side: int, kernel: int, stride: int, padding: int) -> int:
    """Zeros after the last pixel for which each window of a pooling with `ceil_mode` is complete."""
    steps = math.ceil((side + 2 * padding - kernel) / stride)
    if steps * stride >= side + padding:  # PyTorch drops a window that would begin in the padding at the end
        steps -= 1
    return max(steps * stride + kernel - side - padding, 0)


def _adaptive_max_pool2d(image: Tensor, size: Sequence[int]) -> Tensor:
    """Largest value of each window; windows overlap where the size does not divide."""
    import torch

    for dimension, count in zip((-2, -1), _pair(size), strict=True):
        side = image.shape[dimension]
        edges = [(i * side // count, math.ceil((i + 1) * side / count)) for i in range(count)]
        parts = [image.narrow(dimension, start, end - start).amax(dimension, keepdim=True) for start, end in edges]
        image = torch.cat(parts, dimension)
    return image


def _attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, *rest: Any, **more: Any
) -> Tensor:
    """Attention on tensors of rank 3, and of queries that share keys in groups; others are not decomposed.

    PyTorch's ONNX exporter knows rank 4 alone, `(B, heads, L, E)`: a dimension of one head is added. The TFLite
    exporter does not know groups: the keys and values of each are repeated.
    """
    import torch

    if more.pop("enable_gqa", False):
        key, value = (each.repeat_interleave(query.size(-3) // each.size(-3), -3) for each in (key, value))
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, *rest, **more)
    if query.dim() != 3:
        return NotImplemented  # type: ignore[no-any-return]
    heads = [each.unsqueeze(1) for each in (query, key, value)]
    mask = mask.unsqueeze(1) if mask is not None and mask.dim() == 3 else mask
    attended: Tensor = torch.ops.aten.scaled_dot_product_attention.default(*heads, mask, *rest, **more)
    return attended.squeeze(1)


def _copied(target: Tensor, source: Tensor, *rest: Any) -> Tensor:
    """What `target[...] = source` writes: the source in the shape and kind of numbers of the target."""
    return source.to(target.dtype).expand(target.shape)


def _written_between(
    target: Tensor, source: Tensor, dimension: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """`target` with `source` in place of its part from `start` to `end`; with a step it is not decomposed."""
    import torch

    if step != 1:
        return NotImplemented  # type: ignore[no-any-return]
    side = target.shape[dimension]
    first, last, _ = slice(start, end).indices(side)
    last = max(first, last)
    parts = (target.narrow(dimension, 0, first), source, target.narrow(dimension, last, side - last))
    return torch.cat([part for part in parts if part.shape[dimension]], dimension)


def _written_at(target: Tensor, source: Tensor, dimension: int, index: int) -> Tensor:
    """`target` with `source` in place of one element along a dimension."""
    index %= target.shape[dimension]
    return _written_between(target, source.unsqueeze(dimension), dimension, index, index + 1)


def _median(values: Tensor, dimension: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The lower of the two values in the middle, as in PyTorch."""
    return _kth_smallest(values, (values.shape[dimension] + 1) // 2, dimension, keepdim)


def _median_of_all(values: Tensor) -> Tensor:
    return _median(values.flatten(), 0)[0]


def _kth_smallest(values: Tensor, rank: int, dimension: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The value of this rank along a dimension, 1 for the smallest, and where it is."""
    import torch

    found = [each.narrow(dimension, rank - 1, 1) for each in torch.sort(values, dim=dimension)]
    value, index = found if keepdim else [each.squeeze(dimension) for each in found]
    return value, index


def _running(combine: str) -> Callable[..., Tensor]:
    """A cumulative function, of which neither format has an operator: of 1, 2, 4, ... neighbours."""

    def apply(values: Tensor, dimension: int, *rest: Any, **more: Any) -> Tensor:
        import torch

        side, reach = values.shape[dimension], 1
        while reach < side:
            later, earlier = (values.narrow(dimension, start, side - reach) for start in (reach, 0))
            joined = getattr(torch, combine)(later, earlier)
            values = torch.cat([values.narrow(dimension, 0, reach), joined], dimension)
            reach *= 2
        return values

    return apply


def _without_places(function: Callable[..., Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """The function, as an operator that also returns places, which are not filled in."""

    def apply(*arguments: Any) -> tuple[Tensor, Tensor]:
        import torch

        values = function(*arguments)
        return values, torch.zeros_like(values, dtype=torch.long)

    return apply


def _with_sign(values: Tensor, signs: Tensor | float) -> Tensor:
    """The values with other signs; a negative zero counts as positive."""
    import torch

    return torch.where(torch.as_tensor(signs) < 0, -values.abs(), values.abs())


def _hypotenuse(one: Tensor, other: Tensor) -> Tensor:
    return (one * one + other * other).sqrt()


def _randomised_relu(
    values: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, *rest: Any
) -> Tensor:
    """Outside training, a leaky ReLU with the mean slope."""
    import torch

    if training:
        return NotImplemented  # type: ignore[no-any-return]
    return torch.nn.functional.leaky_relu(values, (lower + upper) / 2)
