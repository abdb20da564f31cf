"""Flags that bound the processes that run model files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

from torchseg.checks import check_positive
from torchseg.config.base import Auto
from torchseg.processes.child_limits import child_limits

Config = TypeVar("Config", bound="ChildLimitFlags")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class ChildLimitFlags:
    """Flags of the commands that run files of unknown origin.

    Attributes:
        max_memory: GB that each process that runs a model file may take, and the images that are read for it; auto: a
            quarter of the memory of the machine or container, or 2 if that is more and at most half of it.
        max_minutes: Minutes that opening a file, or one call of it, may take; auto: 2 to open it, 15 for a call, 60 to
            convert a TensorFlow model.
    """

    max_memory: float | Auto = "auto"
    max_minutes: float | Auto = "auto"

    def __post_init__(self) -> None:
        if self.max_memory != "auto":
            check_positive("max_memory", self.max_memory, example="4")
        if self.max_minutes != "auto":
            check_positive("max_minutes", self.max_minutes, example="30")

    def limits(self) -> AbstractContextManager[None]:
        """Sets these limits for the processes that are started in the block."""
        return child_limits(
            memory_gb=None if self.max_memory == "auto" else self.max_memory,
            minutes=None if self.max_minutes == "auto" else self.max_minutes,
        )


def within_limits(job: Callable[[Config], Result]) -> Callable[[Config], Result]:
    """Lets the limits of a job's flags hold for the processes that it starts."""

    @wraps(job)
    def limited(config: Config) -> Result:
        with config.limits():
            return job(config)

    return limited
