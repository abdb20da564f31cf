"""Zeros in a network's weights: NNI says where, this file holds them there. The only file that knows NNI.

NNI has no packages for ARM. Where it is missing, the same weights are found here.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from torchseg.compress.layers import weight_layers
from torchseg.compress.sparsity_schedule import Schedule, ScheduleConfig

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """How many weights become zero, where, and when.

    Attributes:
        sparsity: share of zeros in every pruned layer at the end, in [0, 1).
        op_types: kinds of layers: Conv2d, ConvTranspose2d, Linear, or default for all of these.
        exclude: layers, or blocks of them, that stay dense.
        layers: share of zeros of single layers that differ, by name.
        schedule: when the zeros come.
    """

    sparsity: float = 0.8
    op_types: tuple[str, ...] = ("default",)
    exclude: tuple[str, ...] = ()
    layers: Mapping[str, float] = field(default_factory=dict)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        for name, share in {"sparsity": self.sparsity, **self.layers}.items():
            if not 0 <= share < 1:
                place = "sparsity" if name == "sparsity" else f"sparsity of layer '{name}'"
                raise ValueError(f"{place} is {share}; give a share in [0, 1), e.g. 0.8 for 80 %")


class Pruning:
    """Gradual magnitude pruning beside a training loop. Source: arXiv:1710.01878.

    Call `after_step(0, ...)` before the first optimizer step and then after each one. The network keeps its own
    parameters, so an optimizer made earlier goes on working; masks live here, never in the network.
    """

    def __init__(self, model: nn.Module, config: PruneConfig, *, epochs: int, steps_per_epoch: int) -> None:
        """Checks the plan; changes nothing yet.

        Raises:
            ValueError: for an unknown layer, or a schedule that cannot meet its target in this training.
        """
        layers = weight_layers(model, op_types=config.op_types, exclude=config.exclude, named=config.layers)
        self.targets = {name: config.layers.get(name, config.sparsity) for name in layers}
        if not self.targets:
            raise ValueError(f"nothing to prune: no layer of type {', '.join(config.op_types)} is left; exclude fewer")
        self._shapes = {name: _weight(model, name).shape for name in self.targets}
        self.config = config
        self.schedule = Schedule(config.schedule, epochs=epochs, steps_per_epoch=steps_per_epoch)
        self.step = -1
        self.keep: dict[str, Tensor] = {}  # layer -> which weights live, bool, shaped like the weight

    @property
    def can_checkpoint(self) -> bool:
        """Whether every target is reached: from here on the masks stay, and weights are worth keeping as the best."""
        return self.step >= self.schedule.end

    def describe(self) -> str:
        """The planned share of zeros, epoch by epoch, to print before the training starts."""
        lines = [self.schedule.describe(final=self.config.sparsity)]
        others = {name: share for name, share in self.targets.items() if share != self.config.sparsity}
        lines += [f"{name}: {share:.0%} at the end" for name, share in others.items()]
        return "\n".join(lines)

    def after_step(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Holds every zero, in weights and in what the optimizer remembers; makes new masks where the plan says so.

        Args:
            step: optimizer steps done, this one included; 0 before the first.
            model: the network itself, not a wrapper around it.
            optimizer: of the network, if there is one.
        """
        if step > self.step and self.schedule.is_update(step):
            shares = {name: self.schedule.sparsity(step, final=final) for name, final in self.targets.items()}
            weights = {name: _weight(model, name) for name, share in shares.items() if share > 0}
            self.keep |= _level_masks(weights, shares)
        self.step = max(step, self.step)  # a resumed training may announce its start again
        self.apply(model, optimizer)

    def apply(self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Writes the zeros into the weights, and into the momentum that would bring them back."""
        # A loop may pass a wrapped optimizer, whose own state went stale when the inner one was loaded from disk.
        inner = getattr(optimizer, "optimizer", optimizer)
        for name, keep in self.keep.items():
            weight = _weight(model, name)
            self.keep[name] = keep.to(weight.device)  # a resumed training has them from a file
            dead = ~self.keep[name]
            weight.data.masked_fill_(dead, 0.0)
            for moment in (inner.state.get(weight, {}) if inner is not None else {}).values():
                if isinstance(moment, Tensor) and moment.shape == weight.shape:
                    moment.masked_fill_(dead, 0.0)

    def state_dict(self) -> dict[str, Tensor]:
        """Step and masks as plain tensors, enough to go on in the middle."""
        return {"step": torch.tensor(self.step)} | {f"keep.{name}": keep.clone() for name, keep in self.keep.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state_dict` gave.

        Raises:
            ValueError: if it belongs to another network or plan.
        """
        keep = {name.removeprefix("keep."): mask.bool() for name, mask in state.items() if name != "step"}
        wrong = [name for name, mask in keep.items() if self._shapes.get(name) != mask.shape]
        if wrong or "step" not in state:
            what = f"masks of {', '.join(wrong[:3])} that this network does not fit" if wrong else "no step"
            raise ValueError(f"the saved pruning has {what}; start this stage afresh")
        self.step, self.keep = int(state["step"]), keep


def _weight(model: nn.Module, name: str) -> nn.Parameter:
    weight = model.get_submodule(name).weight
    if not isinstance(weight, nn.Parameter):
        raise ValueError(f"the weight of '{name}' is computed, not stored; strip its clustering before pruning")
    return weight


def _level_masks(weights: Mapping[str, nn.Parameter], shares: Mapping[str, float]) -> dict[str, Tensor]:
    """Which weights live, by layer: NNI's `LevelPruner` lets the smallest go, to within one weight of the share.

    NNI wraps stand-ins that carry copies of the weights, so it never replaces a parameter of the network and cannot
    trip over biases or custom layer types; every layer has an entry of its own, so none of its overlap rules applies.
    """
    level_pruner = _level_pruner() if weights else None
    if level_pruner is None:
        return {name: _larger(weight, share=shares[name]) for name, weight in weights.items()}
    stand_ins = nn.ModuleDict()
    for number, weight in enumerate(weights.values()):
        stand_in = nn.Linear(1, 1, bias=False, device="meta")
        # NNI flattens with `view`, which a channels_last weight refuses. It works on the CPU whatever the device: it
        # is asked a few times a training, and its own tensors need not follow.
        stand_in.weight = nn.Parameter(weight.detach().cpu().clone(memory_format=torch.contiguous_format))
        stand_ins[str(number)] = stand_in
    entries = [
        {"op_names": [str(number)], "target_names": ["weight"], "sparse_ratio": float(shares[name])}
        for number, name in enumerate(weights)
    ]
    _, masks = level_pruner(stand_ins, entries).compress()
    return {name: masks[str(at)]["weight"].bool().to(weights[name].device) for at, name in enumerate(weights)}


def _larger(weight: Tensor, *, share: float) -> Tensor:
    """What `LevelPruner` would let live: which weights are not among the share of the smallest."""
    magnitudes = weight.detach().abs().flatten()
    smallest = magnitudes.topk(int(share * len(magnitudes)), largest=False).indices
    return torch.ones_like(magnitudes, dtype=torch.bool).index_fill_(0, smallest, False).reshape(weight.shape)


def _level_pruner() -> Any:
    """NNI's class, imported when first needed; None where it is not installed."""
    try:
        with _quiet_import():
            from nni.compression.pruning import LevelPruner  # type: ignore[import-untyped]
    except ImportError as error:
        _LOG.info("NNI cannot be imported (%s); the weights that its LevelPruner lets go are found without it", error)
        return None
    return LevelPruner


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Keeps NNI from importing TensorFlow, which it only asks for its version (6 s, 300 MB), and from logging."""
    hidden = "tensorflow" not in sys.modules
    if hidden:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # makes `import tensorflow` an ImportError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if hidden:
            del sys.modules["tensorflow"]
    logging.getLogger("nni").setLevel(logging.ERROR)
