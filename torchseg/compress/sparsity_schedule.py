"""Sparsity schedule of pruning: polynomial decay over the optimizer steps."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torchseg.compression_defaults import PRUNE_BEGIN, PRUNE_END, PRUNE_FREQUENCY, PRUNE_MODE
from torchseg.plural import counted

Mode = Literal["gradual", "one_shot"]
_FEWEST_UPDATES = 10
_USUAL_UPDATES = 50
_MOMENT = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>%|epochs?|steps?|)")


def polynomial_decay(step: int, *, initial: float, final: float, begin: int, end: int, power: float = 3.0) -> float:
    """Sparsity after `step` optimizer steps: rises fast at first, slowly near the end. Source: arXiv:1710.01878, eq. 1.

    Args:
        step: optimizer steps done.
        initial: sparsity at `begin`, in [0, 1).
        final: sparsity from `end` on, in [0, 1).
        begin: optimizer steps done when pruning starts; sparsity is 0 before.
        end: optimizer steps done when the final sparsity is reached; `end == begin` jumps to it.
        power: exponent; 3 in the paper, 1 is linear.
    """
    if step < begin:
        return 0.0
    if step >= end:
        return final
    remaining: float = (1 - (step - begin) / (end - begin)) ** power
    return final + (initial - final) * remaining


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Settings of the sparsity schedule.

    Times are optimizer steps (`400` or `400 steps`), epochs (`3 epochs`) or a share of the training (`80%`).

    Attributes:
        mode: gradual, or one_shot, which sets the target in a single update at `begin` and ignores the other fields.
        initial: sparsity at the first update, in [0, 1).
        begin: time of the first update.
        end: time of the last update, when the target is reached; the rest of the training is recovery.
        frequency: interval between two updates; empty: at least 50 updates, or one per step if pruning is shorter.
        power: exponent of the polynomial; 3 prunes fast at first.
    """

    mode: Mode = PRUNE_MODE
    initial: float = 0.0
    begin: int | str = PRUNE_BEGIN
    end: int | str = PRUNE_END
    frequency: int | str = PRUNE_FREQUENCY
    power: float = 3.0

    def __post_init__(self) -> None:
        if self.mode not in ("gradual", "one_shot"):
            raise ValueError(f"schedule mode is '{self.mode}'; give gradual or one_shot")
        if not 0 <= self.initial < 1:
            raise ValueError(f"initial sparsity is {self.initial}; give a share in [0, 1), e.g. 0")
        if not self.power > 0:
            raise ValueError(f"power is {self.power}; give a positive number, e.g. 3")
        for name, moment in (("begin", self.begin), ("end", self.end), ("frequency", self.frequency or 1)):
            _parse(moment, name)


class Schedule:
    """A `ScheduleConfig` applied to a training of known length; has no state.

    Sparsity is constant between two updates.
    """

    def __init__(self, config: ScheduleConfig, *, epochs: int, steps_per_epoch: int) -> None:
        """Converts all times to optimizer steps and checks them.

        Raises:
            ValueError: if pruning ends after the training and so misses its target, if it ends before it begins, or if
                a gradual schedule has fewer than ten updates.
        """
        self.config, self.epochs, self.steps_per_epoch = config, epochs, steps_per_epoch
        self.total = epochs * steps_per_epoch
        self.begin = self._steps(config.begin, "begin")
        self.end = self.begin if config.mode == "one_shot" else self._steps(config.end, "end")
        last = max(self.begin, self.end)
        if last > self.total:
            raise ValueError(
                f"pruning lasts until step {last}, but the training has {self.total} steps ({epochs} epochs of "
                f"{steps_per_epoch}) and would end below its target: train longer or give an earlier end, e.g. 60%"
            )
        self.updates = self._updates()

    def _steps(self, moment: int | str, name: str) -> int:
        number, unit = _parse(moment, name)
        if unit == "%":
            return round(number / 100 * self.total)
        return round(number * self.steps_per_epoch) if unit.startswith("epoch") else round(number)

    def _updates(self) -> Sequence[int]:
        """Optimizer steps after which masks are recomputed; the last is always `end`, so the target is reached."""
        if self.config.mode == "one_shot":
            return (self.begin,)
        if self.end <= self.begin:
            raise ValueError(
                f"pruning begins at step {self.begin} and ends at step {self.end}; give an end after the beginning, "
                "or --prune_mode one_shot for a single update"
            )
        span = self.end - self.begin
        frequency = max(1, span // _USUAL_UPDATES)
        if self.config.frequency:
            frequency = self._steps(self.config.frequency, "frequency")
        if frequency < 1:
            raise ValueError(f"frequency '{self.config.frequency}' is less than one optimizer step; give 1 or more")
        updates = [*range(self.begin, self.end, frequency), self.end]
        if len(updates) < _FEWEST_UPDATES:
            every = "step" if frequency == 1 else f"{frequency} steps"
            raise ValueError(
                f"the plan has {counted(len(updates), 'update')}, every {every} from {self.begin} to {self.end}; a "
                f"gradual one needs {_FEWEST_UPDATES}: prune for more epochs, end later, update more often, or give "
                "--prune_mode one_shot"
            )
        return tuple(updates)

    def is_update(self, step: int) -> bool:
        """Whether masks are recomputed after this many optimizer steps."""
        return step in self.updates

    def sparsity(self, step: int, *, final: float) -> float:
        """Sparsity after `step` optimizer steps, in [0, 1), of a layer whose target is `final`."""
        past = [update for update in self.updates if update <= step]
        if not past:
            return 0.0
        initial = min(self.config.initial, final)
        return polynomial_decay(
            past[-1], initial=initial, final=final, begin=self.begin, end=self.end, power=self.config.power
        )

    def plan(self, *, final: float) -> list[float]:
        """Sparsity at the end of each epoch."""
        return [self.sparsity((epoch + 1) * self.steps_per_epoch, final=final) for epoch in range(self.epochs)]

    def describe(self, *, final: float) -> str:
        """The schedule in words, to print before the training starts."""
        shares = ", ".join(f"{epoch}: {share:.0%}" for epoch, share in enumerate(self.plan(final=final), start=1))
        return (
            f"zeros reach {final:.0%} at step {self.end} of {self.total} in {len(self.updates)} updates from step "
            f"{self.begin}; after epoch {shares}"
        )


def _parse(moment: int | str, name: str) -> tuple[float, str]:
    """Parses a time such as `80%` or `3 epochs` into number and unit; a plain number counts optimizer steps."""
    text = str(moment).strip()
    match = _MOMENT.fullmatch(text)
    plain = match is not None and match["unit"] in ("", "step", "steps")
    if match is None or (plain and not float(match["number"]).is_integer()):
        raise ValueError(
            f"{name} is '{moment}'; give optimizer steps (400), epochs ('3 epochs') or a share of the training ('80%')"
        )
    number = float(match["number"])
    if not math.isfinite(number) or (match["unit"] == "%" and number > 100):
        raise ValueError(f"{name} is '{moment}'; a share of the training is at most 100%")
    return number, match["unit"]
