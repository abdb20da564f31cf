"""Callbacks of the training loop, through which pruning and clustering act on the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn


class Callback(Protocol):
    """Called by the training loop after each optimizer step; its state is saved with the training's progress."""

    @property
    def can_checkpoint(self) -> bool:
        """Whether the present weights may become the best checkpoint."""
        ...

    def after_step(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Called once before training and after each optimizer step.

        Args:
            step: optimizer steps done: 0 before a new training, more before a resumed one.
            model: the network itself, not a wrapper around it.
            optimizer: of the network, if there is one.
        """
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """The callback's state, as plain tensors."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state that `state_dict` returned."""
        ...


class NoCallback:
    """A callback that does nothing."""

    can_checkpoint = True

    def after_step(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Does nothing."""

    def state_dict(self) -> dict[str, Tensor]:
        """Returns no state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Ignores the state."""
