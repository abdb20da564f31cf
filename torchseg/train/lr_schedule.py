"""Learning rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

_DECAY = 0.2  # share of the steps in which the stable schedule decays; the source recommends 0.1 to 0.2


def warmup_cosine(step: int, total: int, *, warmup: float) -> float:
    """Factor on the peak learning rate: linear up, then half a cosine down. Source: arXiv:1608.03983, without restarts.

    Args:
        step: optimizer steps done, from 0.
        total: optimizer steps of the whole training.
        warmup: share of the training in which the rate rises, in [0, 1).

    Returns:
        A factor in (0, 1].
    """
    climb = max(1, round(warmup * total))
    if step < climb:
        return (step + 1) / climb
    return max(0.5 * (1 + math.cos(math.pi * (step - climb + 1) / (total - climb + 1))), 1e-6)


def warmup_stable_decay(step: int, total: int, *, warmup: float) -> float:
    """Factor on the peak learning rate: linear up, constant, linear down in the last fifth. Source: arXiv:2404.06395.

    Args:
        step: optimizer steps done, from 0.
        total: optimizer steps of the whole training.
        warmup: share of the training in which the rate rises, in [0, 1).

    Returns:
        A factor in (0, 1].
    """
    climb, fall = max(1, round(warmup * total)), max(1, round(_DECAY * total))
    return min((step + 1) / climb, (total - step) / fall, 1.0)


SCHEDULES: Mapping[str, Callable[..., float]] = {"cosine": warmup_cosine, "stable": warmup_stable_decay}
