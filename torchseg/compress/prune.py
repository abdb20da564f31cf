"""Magnitude pruning: NNI computes the masks, and this module keeps masked weights at zero during training.

No other pruning code uses NNI. NNI has no packages for ARM; where it is missing, this module finds the same weights.
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
from torchseg.compression_defaults import SPARSITY

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """Settings of pruning: how many weights become zero, in which layers, and when.

    Attributes:
        sparsity: share of zeros in every pruned layer at the end, in [0, 1).
        op_types: layer types: Conv2d, ConvTranspose2d, Linear, or default for all of these.
        exclude: names of layers or blocks that stay dense.
        layers: sparsity of single layers, by name, in place of `sparsity`.
        schedule: how sparsity grows during the training.
    """

    sparsity: float = SPARSITY
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
    """Callback for gradual magnitude pruning. Source: arXiv:1710.01878.

    Call `after_step(0, ...)` before the first optimizer step, and `after_step` again after each one. The network keeps
    its parameters, so an existing optimizer stays valid; the masks are stored here, not in the network.
    """

    def __init__(self, model: nn.Module, config: PruneConfig, *, epochs: int, steps_per_epoch: int) -> None:
        """Checks the settings; does not change the network.

        Args:
            model: the network to prune.
            config: settings of pruning.
            epochs: of the training.
            steps_per_epoch: optimizer steps per epoch.

        Raises:
            ValueError: for an unknown layer, or a schedule that cannot reach its target in this training.
        """
        layers = weight_layers(model, op_types=config.op_types, exclude=config.exclude, named=config.layers)
        self.targets = {name: config.layers.get(name, config.sparsity) for name in layers}
        if not self.targets:
            raise ValueError(f"nothing to prune: no layer of type {', '.join(config.op_types)} is left; exclude fewer")
        self._shapes = {name: _weight(model, name).shape for name in self.targets}
        self.config = config
        self.schedule = Schedule(config.schedule, epochs=epochs, steps_per_epoch=steps_per_epoch)
        self.step = -1
        self.keep: dict[str, Tensor] = {}  # layer -> bool mask, shaped like the weight, True for weights that are kept

    @property
    def can_checkpoint(self) -> bool:
        """Whether the final sparsity is reached: from then on the masks are fixed, and weights may be the best."""
        return self.step >= self.schedule.end

    def describe(self) -> str:
        """The planned sparsity after each epoch, to print before the training starts."""
        lines = [self.schedule.describe(final=self.config.sparsity)]
        others = {name: share for name, share in self.targets.items() if share != self.config.sparsity}
        lines += [f"{name}: {share:.0%} at the end" for name, share in others.items()]
        return "\n".join(lines)

    def after_step(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Updates the masks when the schedule says so, and zeroes masked weights and their optimizer moments.

        Args:
            step: optimizer steps done, this one included; 0 before the first.
            model: the network itself, not a wrapper around it.
            optimizer: of the network, if there is one.
        """
        if step > self.step and self.schedule.is_update(step):
            shares = {name: self.schedule.sparsity(step, final=final) for name, final in self.targets.items()}
            weights = {name: _weight(model, name) for name, share in shares.items() if share > 0}
            self.keep |= _level_masks(weights, shares)
        self.step = max(step, self.step)  # a resumed training may report its starting step again
        self.apply(model, optimizer)

    def apply(self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Zeroes masked weights, and their optimizer moments, which would otherwise revive them."""
        # A loop may pass a wrapped optimizer, whose own state is stale if the inner one was loaded from disk.
        inner = getattr(optimizer, "optimizer", optimizer)
        for name, keep in self.keep.items():
            weight = _weight(model, name)
            self.keep[name] = keep.to(weight.device)  # a resumed training loads masks on the CPU
            dead = ~self.keep[name]
            weight.data.masked_fill_(dead, 0.0)
            for moment in (inner.state.get(weight, {}) if inner is not None else {}).values():
                if isinstance(moment, Tensor) and moment.shape == weight.shape:
                    moment.masked_fill_(dead, 0.0)

    def state_dict(self) -> dict[str, Tensor]:
        """Step and masks as plain tensors: all that is needed to resume."""
        return {"step": torch.tensor(self.step)} | {f"keep.{name}": keep.clone() for name, keep in self.keep.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state that `state_dict` returned.

        Raises:
            ValueError: if the state belongs to another network or other settings.
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
    """Bool mask per layer, True for weights to keep: NNI's `LevelPruner` drops the smallest ones.

    The number of dropped weights matches the share to within one weight. NNI gets stand-in layers with copies of the
    weights, so it never replaces a parameter of the network and never meets biases or custom layer types. Each layer
    has its own entry, so NNI's rules for overlapping entries do not apply.
    """
    level_pruner = _level_pruner() if weights else None
    if level_pruner is None:
        return {name: _larger(weight, share=shares[name]) for name, weight in weights.items()}
    stand_ins = nn.ModuleDict()
    for number, weight in enumerate(weights.values()):
        stand_in = nn.Linear(1, 1, bias=False, device="meta")
        # NNI flattens with `view`, which fails on a channels_last weight. It always works on the CPU: it runs only a
        # few times per training, and so its own tensors need not be moved to a GPU.
        stand_in.weight = nn.Parameter(weight.detach().cpu().clone(memory_format=torch.contiguous_format))
        stand_ins[str(number)] = stand_in
    entries = [
        {"op_names": [str(number)], "target_names": ["weight"], "sparse_ratio": float(shares[name])}
        for number, name in enumerate(weights)
    ]
    _, masks = level_pruner(stand_ins, entries).compress()
    return {name: masks[str(at)]["weight"].bool().to(weights[name].device) for at, name in enumerate(weights)}


def _larger(weight: Tensor, *, share: float) -> Tensor:
    """The mask of `LevelPruner` without NNI: True for weights that are not among the smallest `share`."""
    magnitudes = weight.detach().abs().flatten()
    smallest = magnitudes.topk(int(share * len(magnitudes)), largest=False).indices
    return torch.ones_like(magnitudes, dtype=torch.bool).index_fill_(0, smallest, False).reshape(weight.shape)


def _level_pruner() -> Any:
    """NNI's `LevelPruner`, imported when first needed; None if NNI is not installed."""
    try:
        with _quiet_import():
            from nni.compression.pruning import LevelPruner  # type: ignore[import-untyped]
    except ImportError as error:
        _LOG.info("NNI cannot be imported (%s); the weights that its LevelPruner lets go are found without it", error)
        return None
    return LevelPruner


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Keeps NNI from importing TensorFlow just to read its version (6 s, 300 MB), and from logging."""
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
