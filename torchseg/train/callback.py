"""What may watch over the weights while a network is trained: pruning, shared values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn


class Callback(Protocol):
    """Called beside the training loop; what it knows travels with the saved progress."""

    @property
    def can_checkpoint(self) -> bool:
        """Whether weights of now may be kept as the best."""
        ...

    def after_step(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Called before the first optimizer step with 0, or with where a resumed training stands, and after each."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What it knows."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state_dict` gave."""
        ...


class NoCallback:
    """Watches over nothing."""

    can_checkpoint = True

    def after_step(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Leaves the weights alone."""

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes what `state_dict` gave."""
