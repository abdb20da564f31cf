"""Finds which tensor of a checkpoint belongs to which of a network, whatever wrappers put before their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torchseg.plural import counted, verb
from torchseg.spec import nearest

_COMPILED = "_orig_mod."  # of torch.compile, anywhere in a name
_COUNTER = "num_batches_tracked"  # of batch norm; old checkpoints lack it, and nothing computes with it
_IGNORED = ("total_ops", "total_params", "n_averaged")  # of profilers and of averaged weights
_AUXILIARY = ("aux_classifier.", "classification_head.")  # heads that the networks here are built without
_OBSERVERS = ("activation_post_process.", "_fake_quant.")  # of quantization-aware training, anywhere in a name
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Matching:
    """How the tensors of a checkpoint fit a network.

    Attributes:
        tensors: by the network's names, with its data types.
        notes: what was done to the names, one sentence each.
        missing: tensors of the network that the checkpoint lacks.
        unexpected: tensors of the checkpoint that the network lacks.
        reshaped: name, shape in the checkpoint, and shape in the network, where they differ.
        other_shapes: the checkpoint's tensors for these, by the network's names.
    """

    tensors: Mapping[str, Tensor]
    notes: Sequence[str]
    missing: Sequence[str]
    unexpected: Sequence[str]
    reshaped: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]]
    other_shapes: Mapping[str, Tensor]

    @property
    def fits(self) -> bool:
        """Whether every tensor has its place."""
        return not (self.missing or self.unexpected or self.reshaped)

    def describe(self) -> str:
        """What does not fit: the first ten names of each kind, with similar ones."""
        parts = []
        if self.missing:
            near = [f"{name}{nearest(name, self.unexpected)}" for name in self.missing[:_SHOWN]]
            missing = f"{counted(len(self.missing), 'tensor')} {verb(len(self.missing), 'is', 'are')} missing"
            parts.append(f"{missing}{_first(self.missing)}: {', '.join(near)}")
        if self.unexpected:
            names = ", ".join(self.unexpected[:_SHOWN])
            be = verb(len(self.unexpected), "is", "are")
            parts.append(f"{len(self.unexpected)} {be} unexpected{_first(self.unexpected)}: {names}")
        if self.reshaped:
            shapes = ", ".join(f"{name} is {theirs}, not {ours}" for name, theirs, ours in self.reshaped[:_SHOWN])
            have = verb(len(self.reshaped), "has", "have")
            parts.append(f"{len(self.reshaped)} {have} another shape{_first(self.reshaped)}: {shapes}")
        return "; ".join(parts)


def match_keys(theirs: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Matching:
    """Matches names by their ends, so that prefixes of wrappers on either side do not matter.

    Args:
        theirs: tensors of the checkpoint.
        own: state dict of the network; tensors on the device `meta` will do.
    """
    given = {name.replace(_COMPILED, ""): tensor for name, tensor in theirs.items()}
    wrapper = _shared_prefix(list(own))
    bare = {name.removeprefix(wrapper): tensor for name, tensor in own.items()}
    prefix = _best_prefix(given, bare)
    inside = {name.removeprefix(prefix): tensor for name, tensor in given.items() if name.startswith(prefix)}
    outside = [name for name in given if not name.startswith(prefix)]
    notes = _notes(theirs, "" if wrapper.endswith(prefix) else prefix, outside=outside)
    dropped = [name for name in inside if name.startswith(_AUXILIARY) and name not in bare]
    if dropped:
        notes.append(_dropped(dropped, f"the auxiliary head {dropped[0].partition('.')[0]}"))
    observers = [name for name in inside if any(part in name for part in _OBSERVERS) and name not in bare]
    if observers:
        notes.append(f"{_dropped(observers, 'quantization observers')}; the weights are in float")
    dropped += observers
    shared = [name for name in bare if name in inside]
    reshaped = [
        (name, tuple(inside[name].shape), tuple(bare[name].shape))
        for name in shared
        if inside[name].shape != bare[name].shape
    ]
    return Matching(
        tensors={f"{wrapper}{name}": _like(inside.get(name), bare[name]) for name in bare},
        notes=notes,
        missing=[name for name in bare if name not in inside and not name.endswith(_COUNTER)],
        unexpected=[
            name for name in inside if name not in bare and name not in dropped and not name.endswith(_IGNORED)
        ],
        reshaped=reshaped,
        other_shapes={f"{wrapper}{name}": inside[name].detach().to(bare[name].dtype) for name, _, _ in reshaped},
    )


def _best_prefix(given: Mapping[str, Tensor], bare: Mapping[str, Tensor]) -> str:
    """The prefix under which most tensors match by name and shape; of equal ones that of the plain weights."""
    probes = list(bare)[:: max(1, len(bare) // 8)]  # a few names, spread over the network
    prefixes = {
        name[: len(name) - len(probe)]
        for name in given
        for probe in probes
        if name == probe or name.endswith(f".{probe}")
    }

    def hits(prefix: str) -> int:
        names = ((given.get(f"{prefix}{name}"), tensor) for name, tensor in bare.items())
        return sum(1 + (theirs.shape == tensor.shape) for theirs, tensor in names if theirs is not None)

    return min(prefixes, key=lambda each: (-hits(each), "ema" in each, len(each), each), default="")


def _shared_prefix(names: list[str]) -> str:
    """The leading parts that all names share, e.g. `network.`."""
    prefix = ""
    while names and "." in names[0][len(prefix) :]:
        longer = prefix + names[0][len(prefix) :].partition(".")[0] + "."
        if not all(name.startswith(longer) for name in names):
            break
        prefix = longer
    return prefix


def _notes(theirs: Mapping[str, Tensor], prefix: str, *, outside: Sequence[str]) -> list[str]:
    notes = []
    if any(_COMPILED in name for name in theirs):
        notes.append(f"names lose the '{_COMPILED}' of torch.compile")
    if prefix:
        notes.append(f"names lose the prefix '{prefix}'")
    if outside and prefix:
        left = f"{counted(len(outside), 'tensor')} outside '{prefix}' {verb(len(outside), 'is', 'are')} left out"
        notes.append(f"{left}, e.g. {outside[0]}")
    if kinds := {str(each.dtype)[6:] for each in theirs.values() if each.dtype in (torch.float16, torch.bfloat16)}:
        notes.append(f"{' and '.join(sorted(kinds))} weights become float32")
    return notes


def _like(theirs: Tensor | None, own: Tensor) -> Tensor:
    """The tensor in the data type of the network; the network's own where the checkpoint has none that fits."""
    if theirs is None or theirs.shape != own.shape:
        return own
    return theirs.detach().to(own.dtype).clone().contiguous()


def _first(names: Sequence[object]) -> str:
    return f" (the first {_SHOWN})" if len(names) > _SHOWN else ""


def _dropped(names: Sequence[str], what: str) -> str:
    return f"{counted(len(names), 'tensor')} of {what} {verb(len(names), 'is', 'are')} dropped"
