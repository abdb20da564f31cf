"""Exponential moving average of a network's weights, which is more accurate than the weights of any one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged_model(model: nn.Module, *, decay: float) -> AveragedModel:
    """A copy of the model; each call of its `update_parameters(model)` moves it towards the model's present weights.

    Source: arXiv:1703.01780, section 3. The statistics of batch norm are averaged like the weights that they belong to.

    Args:
        model: not changed.
        decay: share of the old average that a step keeps, in (0, 1); less in the first steps, so that the random
            initial weights are soon forgotten.
    """
    return AveragedModel(model, multi_avg_fn=_moving_average(decay), use_buffers=True)


def _moving_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    @torch.no_grad()
    def average(averages: Sequence[Tensor], present: Sequence[Tensor], steps: Tensor | int) -> None:
        if not averages[0].is_floating_point():  # counts of batches
            for own, new in zip(averages, present, strict=True):
                own.copy_(new)
            return
        done = int(steps)
        kept = min(decay, (1 + done) / (10 + done))
        torch._foreach_lerp_(list(averages), list(present), 1 - kept)

    return average
