"""Channel (structured) pruning: the only compression here that every runtime turns into lower latency."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from torchseg.compress.layers import OP_TYPES, weight_layers
from torchseg.compression_defaults import CHANNEL_IMPORTANCE

Importance = Literal["magnitude", "batch_norm", "taylor"]
Loss = Callable[[nn.Module], Tensor]

_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class ChannelPruneConfig:
    """Settings of channel pruning: how many channels to remove, and which.

    Attributes:
        share: share of channels to remove from every layer, in (0, 1).
        importance: how channels are ranked; the least important are removed. magnitude: of all weights tied to the
            channel; batch_norm: scale of its batch norm, or magnitude if there is none; taylor: first-order estimate,
            on real images, of how the loss would change.
        round_to: widths become multiples of this; a layer with fewer channels is not pruned.
        exclude: names of layers or blocks that keep their output channels; grouped convolutions always keep theirs.
    """

    share: float = 0.5
    importance: Importance = CHANNEL_IMPORTANCE
    round_to: int = 8
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share is {self.share}; give the share of channels to remove, in (0, 1), e.g. 0.5")
        if self.importance not in ("magnitude", "batch_norm", "taylor"):
            raise ValueError(f"importance is '{self.importance}'; choose from magnitude, batch_norm, taylor")
        if self.round_to < 1:
            raise ValueError(f"round_to is {self.round_to}; give at least 1, e.g. 8")


@dataclass(frozen=True, kw_only=True)
class ChannelPruned:
    """A pruned network, and the proof that removing the channels is the same as setting them to zero.

    Attributes:
        model: the new network, in eval mode; the old one is unchanged.
        widths: output channels before and after, of each layer that lost some.
        difference: largest absolute difference between its logits and those of the old network with the same channels
            set to zero.
    """

    model: nn.Module
    widths: Mapping[str, tuple[int, int]]
    difference: float


def prune_channels(
    model: nn.Module, images: Tensor, config: ChannelPruneConfig, *, loss: Loss | None = None
) -> ChannelPruned:
    """Removes the least important channels of every layer, with all weights that read or write them.

    Source: arXiv:2301.12900 (dependency groups), by torch-pruning. Layers tied by sums or gates lose the same channels.

    Args:
        model: any network that autograd can trace; not changed.
        images: normalised images `(B, C, H, W)`, to trace the network and to verify the result.
        config: how many channels to remove, and which.
        loss: computes the loss of a network on real batches; needed for taylor.

    Raises:
        ValueError: if taylor lacks a `loss`, a layer is unknown, no layer has enough channels, or the logits differ
            from those with zeroed channels by more than 1e-4 of the largest logit (at least 1e-4).
    """
    if config.importance == "taylor" and loss is None:
        raise ValueError("taylor importance needs a loss on real batches; pass loss, or choose magnitude")
    narrow, silent = (copy.deepcopy(model).eval().requires_grad_(True) for _ in range(2))
    widths = _remove(narrow, silent, images, config, loss=loss)
    if not widths:
        raise ValueError(f"no layer has more than {config.round_to} channels to spare; give a smaller round_to")
    with torch.no_grad():
        logits, expected = narrow(images), silent(images)
    difference = float((logits - expected).abs().max()) if logits.shape == expected.shape else float("inf")
    if not difference <= _TOLERANCE * max(1.0, float(expected.abs().max())):
        raise ValueError(
            f"without its silent channels the network gives other logits (difference {difference:.2g}); "
            f"exclude the layers that torch-pruning misjudged, out of {', '.join(widths)}"
        )
    narrow.zero_grad()
    for parameter, old in zip(narrow.parameters(), model.parameters(), strict=True):
        parameter.requires_grad_(old.requires_grad)
    return ChannelPruned(model=narrow, widths=widths, difference=difference)


def _remove(
    narrow: nn.Module, silent: nn.Module, images: Tensor, config: ChannelPruneConfig, *, loss: Loss | None
) -> dict[str, tuple[int, int]]:
    """Removes channels from `narrow` and sets the same channels to zero in `silent`; returns the changed widths."""
    kept = set(weight_layers(narrow)) - set(weight_layers(narrow, exclude=config.exclude))
    pruning = _torch_pruning()
    graph = pruning.DependencyGraph().build_dependency(narrow, images[:1], forward_fn=_trace)
    if loss is not None:
        narrow.zero_grad()
        loss(narrow).backward()  # type: ignore[no-untyped-call]
    names = {module: name for name, module in narrow.named_modules()}
    importance = _importance(pruning, config.importance)
    plans = []
    for group in graph.get_all_groups(ignored_layers=[narrow.get_submodule(name) for name in kept]):
        root, handler = group[0].dep.target.module, group[0].dep.handler
        if (victims := _victims(group, importance, graph, config)) is not None:
            plans.append((root, handler, victims))
    widths = {}
    for root, handler, victims in plans:
        group = graph.get_pruning_group(root, handler, victims)
        for dependency, channels in group:
            module = dependency.target.module
            if graph.is_out_channel_pruning_fn(dependency.handler) and module in names:
                _silence(silent.get_submodule(names[module]), channels)
                if names[module] in weight_layers(narrow):
                    before = graph.get_out_channels(module)
                    widths[names[module]] = (before, before - len(channels))
        group.prune()
    return widths


def _victims(group: Any, importance: Any, graph: Any, config: ChannelPruneConfig) -> list[int] | None:
    """Channels to remove from a group of tied layers, the least important ones; None if none may be removed."""
    modules = [dependency.target.module for dependency, _ in group]
    read = any(
        graph.is_in_channel_pruning_fn(dependency.handler)
        and isinstance(dependency.target.module, tuple(OP_TYPES.values()))
        for dependency, _ in group
    )
    grouped = any(getattr(module, "groups", 1) not in (1, getattr(module, "in_channels", 1)) for module in modules)
    if not read or grouped:  # channels that no layer reads are the network's output, or a gate that scales all channels
        return None
    scores = importance(group)
    victims = _least(scores, torch.arange(len(scores)), config)
    parts = _parts(group, graph, count=len(scores))
    if any(
        set(part.tolist()) <= set(victims) for part in parts
    ):  # no layer that writes into a concatenation may lose all its channels
        victims = [channel for part in parts for channel in _least(scores, part, config)]
    return sorted(victims) or None


def _least(scores: Tensor, channels: Tensor, config: ChannelPruneConfig) -> list[int]:
    """The least important of these channels; the number of remaining ones is a multiple of `round_to`."""
    width = max(1, round((1 - config.share) * len(channels) / config.round_to)) * config.round_to
    channels = channels.to(scores.device)
    return channels[scores[channels].argsort()[: max(0, len(channels) - width)]].tolist()


def _parts(group: Any, graph: Any, *, count: int) -> list[Tensor]:
    """The channels of a group, split by the layers that write them: a concatenation has several such parts."""
    writers: list[list[int]] = [[] for _ in range(count)]
    for number, (dependency, _) in enumerate(group):
        module, handler = dependency.target.module, dependency.handler
        if graph.is_out_channel_pruning_fn(handler) and isinstance(module, tuple(OP_TYPES.values())):
            for channel in group[number].root_idxs:
                writers[channel].append(number)
    parts: dict[tuple[int, ...], list[int]] = {}
    for channel, written_by in enumerate(writers):
        parts.setdefault(tuple(written_by), []).append(channel)
    return [torch.tensor(part) for part in parts.values()]


def _silence(layer: nn.Module, channels: list[int]) -> None:
    """Sets these output channels to zero for any input."""
    axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
    with torch.no_grad():
        for parameter, dim in ((layer.weight, axis), (layer.bias, 0)):
            if isinstance(parameter, nn.Parameter):
                parameter.index_fill_(dim, torch.tensor(channels, device=parameter.device), 0.0)


class _CutGates(TorchFunctionMode):
    """Removes from the autograd graph the products in which a one-channel gate scales all channels of a tensor.

    torch-pruning takes a product as a tie between channels of the same index; the single channel of an attention gate
    would then prevent it from pruning the encoder's channels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__) and all(
            isinstance(factor, Tensor) and factor.dim() == 4 for factor in args
        ):
            narrow, wide = sorted(args, key=lambda factor: int(factor.shape[1]))
            if narrow.shape[1] == 1 < wide.shape[1]:
                self.gates.append(narrow)
                return wide * narrow.detach()
        return func(*args, **(kwargs or {}))


def _trace(model: nn.Module, images: Tensor) -> list[Tensor]:
    """The logits and, as further outputs, what cannot be reached from them: gates, and layers whose output is unused.

    For example, an encoder may compute deeper levels than the decoder reads.
    """
    results: list[Any] = []
    hooks = [module.register_forward_hook(lambda *call: results.append(call[2])) for module in model.modules()]
    with _CutGates() as cut:
        logits = model(images)
    for hook in hooks:
        hook.remove()
    outputs, seen = [], set[Any]()
    # The last layer of an unused branch leads back to the ones before it, hence the reversed order.
    for tensor in [logits, *cut.gates, *(each for each in reversed(results) if isinstance(each, Tensor))]:
        if tensor.grad_fn not in seen:
            outputs.append(tensor)
            _walk(tensor.grad_fn, seen)
    return outputs


def _walk(node: Any, seen: set[Any]) -> None:
    """Adds a node of the autograd graph, and all nodes that it depends on, to `seen`."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]


def _torch_pruning() -> Any:
    try:
        import torch_pruning  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ImportError("removing channels needs torch-pruning: pip install 'torchseg-compress[compress]'") from error
    return torch_pruning


def _importance(pruning: Any, kind: Importance) -> Callable[[Any], Tensor]:
    """Makes a function that scores the importance of each channel of a group."""
    magnitude = pruning.importance.GroupMagnitudeImportance(p=1)
    table = {
        "magnitude": magnitude,
        "batch_norm": pruning.importance.BNScaleImportance(),
        "taylor": pruning.importance.GroupTaylorImportance(),
    }

    def scores(group: Any) -> Tensor:
        found = table[kind](group)
        return cast(Tensor, magnitude(group) if found is None else found)

    return scores
