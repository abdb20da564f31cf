"""Finds out what a network takes and returns by running it on random images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchseg.models.external.outputs import Activation, Outputs, selected
from torchseg.spec import nearest

_STRIDES = (1, 2, 4, 8, 16, 32, 64)
_SCALES = (1, 2, 4, 8, 16, 32)
_LEAST = 64  # pixels; deep networks need several positions in their last feature map
_USUAL = ("out", "logits", "masks", "pred", "seg", "0")  # names of the main output, the most usual first
_TOLERANCE = 1e-4  # sums of probabilities
_LAST_LAYERS: Mapping[type[nn.Module], Activation] = {
    nn.Softmax: "softmax",
    nn.Softmax2d: "softmax",
    nn.Sigmoid: "sigmoid",
}
_RETURNS_NO_LOGITS = "a network must return one tensor (B, K, H, W), or a tuple, list or dict with one"


@torch.no_grad()
def find_outputs(
    network: nn.Module, channels: int, num_classes: int, *, output: str = "", size: tuple[int, int] | None = None
) -> Outputs:
    """Runs the network on random images, and describes what it returns.

    Args:
        network: of any project; runs in eval mode, and its mode is restored afterwards.
        channels: of its images.
        num_classes: number of classes; a network of two may return one logit.
        output: name or index of the logits among several outputs, with dots for nested ones. Default: chosen by name,
            then the first one with the right number of channels.
        size: the only height and width that the network takes, in pixels; None tries which multiples it takes.

    Raises:
        ValueError: if the network cannot take images, or nothing that it returns can be logits.
    """
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        stride, images, returned = _run(network, channels, _sizes(size))
        select = _select(returned, output, num_classes)
        scores = _checked(selected(returned, select), num_classes)
        activation, last = _activation(network, images, select)
    finally:
        for module, training in modes.items():
            module.training = training
    scale = _scale(images, scores)
    return Outputs(
        stride=stride, channels=scores.shape[1], select=select, scale=scale, activation=activation, last=last
    )


def _sizes(size: tuple[int, int] | None) -> dict[int, tuple[int, int]]:
    """Sizes to try, by the stride that they show: odd multiples of it, and so no multiples of the next one."""
    if size:
        return {1: size}
    odd = {stride: -(-_LEAST // stride) | 1 for stride in _STRIDES}
    return {stride: (rows * stride, (rows + 2) * stride) for stride, rows in odd.items()}


def _run(network: nn.Module, channels: int, sizes: Mapping[int, tuple[int, int]]) -> tuple[int, Tensor, Any]:
    """The first stride whose size the network takes, images of that size, and what it returns for them."""
    reason = ""
    for stride, (height, width) in sizes.items():
        images = _noise(channels, height, width)
        try:
            return stride, images, network(images)
        except Exception as error:  # whatever code of other people raises for a size that it does not take
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    tried = ", ".join(f"{height}x{width}" for height, width in sizes.values())
    raise ValueError(f"the network takes no images of {channels} channels and {tried}; for the last it said: {reason}")


def _select(returned: Any, output: str, num_classes: int) -> tuple[str | int, ...]:
    """The way to the logits in what the network returned."""
    ways = dict(_tensors(returned))
    if output:
        for way in ways:
            if ".".join(map(str, way)) == output:
                return way
        known = [".".join(map(str, way)) for way in ways]
        raise ValueError(f"--output is '{output}'{nearest(output, known)}; the network returns {', '.join(known)}")
    maps = [way for way, tensor in ways.items() if tensor.dim() == 4]
    fitting = [way for way in maps if ways[way].shape[1] in _channel_counts(num_classes)] or maps
    if not fitting:
        shapes = ", ".join(f"{'.'.join(map(str, way)) or 'one'} {tuple(ways[way].shape)}" for way in ways)
        raise ValueError(f"the network returns {shapes or type(returned).__name__}; {_RETURNS_NO_LOGITS}")
    named = [way for name in _USUAL for way in fitting if way and str(way[-1]) == name]
    return (named or fitting)[0]


def _tensors(returned: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Tensor]]:
    if isinstance(returned, Tensor):
        yield way, returned
    elif isinstance(returned, Mapping):
        for name, each in returned.items():
            if isinstance(name, str | int):
                yield from _tensors(each, (*way, name))
    elif names := _field_names(returned):
        for name in names:
            yield from _tensors(getattr(returned, name), (*way, name))
    elif isinstance(returned, Sequence) and not isinstance(returned, str):
        for index, each in enumerate(returned):
            yield from _tensors(each, (*way, index))


def _field_names(returned: Any) -> tuple[str, ...]:
    """Names of what a data class or a named tuple holds; none for anything else."""
    if is_dataclass(returned):
        return tuple(each.name for each in fields(returned))
    return tuple(getattr(returned, "_fields", ()))


def _channel_counts(num_classes: int) -> tuple[int, ...]:
    return (2, 1) if num_classes == 2 else (num_classes,)


def _checked(scores: Tensor, num_classes: int) -> Tensor:
    if scores.dim() != 4:
        raise ValueError(f"the network's output is {tuple(scores.shape)}; {_RETURNS_NO_LOGITS}")
    if scores.shape[1] not in _channel_counts(num_classes):
        raise ValueError(
            f"the network has {scores.shape[1]} classes and the data {num_classes}; give data of the classes that it "
            "was trained for, or the --output that has as many"
        )
    return scores


def _scale(images: Tensor, scores: Tensor) -> int:
    """Image size divided by output size."""
    height, width = images.shape[2:]
    for scale in _SCALES:
        if tuple(scores.shape[2:]) in {(height // scale, width // scale), (-(-height // scale), -(-width // scale))}:
            return scale
    raise ValueError(
        f"the network turns images of {height}x{width} into {scores.shape[2]}x{scores.shape[3]}; its output must have "
        "the size of the image, or a half, a quarter ... of it: pad its convolutions, or resize in its forward"
    )


def _activation(network: nn.Module, images: Tensor, select: tuple[str | int, ...]) -> tuple[Activation, str]:
    """What the network applies to its logits, and the layer that does."""
    results: dict[str, Any] = {}
    layers = {name: module for name, module in network.named_modules() if type(module) in _LAST_LAYERS}
    hooks = [
        module.register_forward_hook(lambda *call, name=name: results.update({name: call[2]}))
        for name, module in layers.items()
    ]
    try:
        scores = selected(network(images), select)
        extreme = selected(network(1000 * images), select)
    finally:
        for hook in hooks:
            hook.remove()
    kind = _kind(torch.cat([scores.flatten(2), extreme.flatten(2)], dim=2))
    if kind == "none":
        return kind, ""
    last = [name for name, result in results.items() if result is extreme and _LAST_LAYERS[type(layers[name])] == kind]
    return kind, last[0] if last else ""


def _kind(scores: Tensor) -> Activation:
    """`softmax` for values that sum to one, `sigmoid` for values in [0, 1] that vary, `none` for anything else.

    Args:
        scores: `(B, K, N)`.
    """
    if float(scores.min()) < 0 or float(scores.max()) > 1 or torch.unique(scores).numel() < 3:
        return "none"
    sums_to_one = bool(((scores.sum(1) - 1).abs() < _TOLERANCE).all())
    return "softmax" if sums_to_one and scores.shape[1] > 1 else "sigmoid"


def _noise(channels: int, height: int, width: int) -> Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))
