"""Flags that say how a network listens to a teacher. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LessonFlags:
    """Whose opinion counts how much.

    Attributes:
        temperature: Softening of both opinions in the distillation loss.
        alpha: Share of the teacher's opinion in the loss; the labels have the rest.
    """

    temperature: float = 1.0
    alpha: float = 0.5

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature}; give a positive number, e.g. 1 or 4")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}; give a share in [0, 1], e.g. 0.8")
