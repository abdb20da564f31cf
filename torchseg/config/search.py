"""Flags of the `search` command, and the parser of its search space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torchseg.config.base import PRECISIONS, SEARCH_ENGINES, choices
from torchseg.config.distill import AUTO, DistillConfig
from torchseg.spec import nearest

_DIGITS = 4  # significant digits of a chosen number: nobody wants 0.0019374617 in a configuration

Value = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class SearchConfig(DistillConfig):
    """Searches for the distillation configuration with the most accurate student within a size or latency budget.

    The flags of distill.py define trial 0, where the search starts. Flags for compression and model files are not
    searched: they are copied into the best configuration, which distill.py accepts as its --config.

    Example:
        --data folder --root mine --out runs/search

    Attributes:
        student: Student network of every trial: a name or smp:ARCHITECTURE:ENCODER.
        engine: Search engine: nni or optuna; both use a tree of Parzen estimators (TPE).
        trials: Number of configurations to try, after trial 0, which is the one that the other flags describe.
        space: Search space, separated by commas: NAME=LOW..HIGH, NAME=LOW..HIGH log or NAME=A|B|C. Names are
            learning_rate, temperature, alpha, schedule, a loss term for its weight (dice, focal, ...), class_weight_1,
            class_weight_2, ... for the weight of a class, and any argument of the student's builder (base_width,
            dropout, ...).
        max_kb: Largest size of the student's ONNX file in kilobytes. Default, without --max_ms: the size in trial 0.
        max_ms: Largest latency of that file in milliseconds, for one image on one thread of this machine.
        budget_precision: Precision of the file that the budget applies to: fp32, fp16, dynamic or int8.
        epochs: Epochs of every trial, counted in labelled images. Default: enough for 960 steps on scenes, 1440
            otherwise.
        out: Folder of the search. Default: runs/DATA-search.
    """

    student: str = "fast_unet"
    engine: str = "nni"
    trials: int = 8
    space: str = (
        "learning_rate=0.001..0.008 log, dropout=0..0.1, temperature=1..8 log, alpha=0.1..0.9, dice=0.25..4 log, "
        "base_width=8|12|16"
    )
    max_kb: float | None = None
    max_ms: float | None = None
    budget_precision: str = "fp32"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.engine not in SEARCH_ENGINES:
            hint = nearest(self.engine, SEARCH_ENGINES)
            raise ValueError(f"engine is '{self.engine}'{hint}; choose from {', '.join(SEARCH_ENGINES)}")
        if self.student == AUTO:
            raise ValueError("student is auto, but trials vary one network: name it; the command `students` lists some")
        if self.teacher is None:
            raise ValueError("teacher is null, but trials learn from one: name a network")
        if self.folds:
            raise ValueError(f"folds is {self.folds}, but a search compares trials on one split: give it to distill")
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}; try at least 1 configuration")
        for name, most in (("max_kb", self.max_kb), ("max_ms", self.max_ms)):
            if most is not None and most <= 0:
                raise ValueError(f"{name} is {most}; give a positive number")
        if len(choices("budget_precision", self.budget_precision, PRECISIONS)) > 1:
            raise ValueError(f"budget_precision is '{self.budget_precision}'; the budget is about one file: give one")
        _ = self.ranges

    @property
    def ranges(self) -> Space:
        """`space`, parsed."""
        return parse_space(self.space)

    @property
    def run(self) -> Path:
        """Folder of the search."""
        return self.out or Path("runs") / f"{self.data}-search"


@dataclass(frozen=True, kw_only=True)
class Range:
    """All numbers from `low` to `high`; with `log`, they are sampled evenly on a logarithmic scale."""

    low: float
    high: float
    log: bool = False

    @property
    def bounds(self) -> tuple[Value, ...]:
        """Both ends, to check whether any value can meet the budget."""
        return self.low, self.high

    def holds(self, value: Value) -> bool:
        """Whether the value lies in the range."""
        return self.low <= float(value) <= self.high

    def tidy(self, value: Value) -> Value:
        """Rounds the number to a few significant digits, without leaving the range."""
        rounded = float(f"{float(value):.{_DIGITS}g}")
        return min(max(rounded, self.low), self.high)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A choice among listed values."""

    values: tuple[Value, ...]

    @property
    def bounds(self) -> tuple[Value, ...]:
        """All values, to check whether any of them can meet the budget."""
        return self.values

    def holds(self, value: Value) -> bool:
        """Whether the value is one of those listed."""
        return value in self.values

    def tidy(self, value: Value) -> Value:
        """The listed value that equals this one: engines return numbers in types of their own."""
        return next(each for each in self.values if each == value)


Space = Mapping[str, Range | Choice]


def parse_space(text: str) -> dict[str, Range | Choice]:
    """Reads `learning_rate=0.0005..0.01 log, alpha=0.1..0.9, base_width=8|12|16`.

    Raises:
        ValueError: for malformed text, a repeated name, an invalid range, or an empty space.
    """
    space: dict[str, Range | Choice] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, values = (piece.strip() for piece in item.partition("="))
        if not name or not values:
            raise ValueError(
                f"space has '{item}'; give NAME=LOW..HIGH, NAME=LOW..HIGH log or NAME=A|B|C, separated by commas"
            )
        if name in space:
            raise ValueError(f"space names {name} twice; give it one range")
        space[name] = _range(item, values) if ".." in values else _choice(item, values)
    if not space:
        raise ValueError(
            "space is empty, so there is nothing to search over; name a parameter and its range, "
            "e.g. 'learning_rate=0.0005..0.01 log, base_width=8|12|16'"
        )
    return space


def _range(item: str, text: str) -> Range:
    words = text.split()
    low, _, high = words[0].partition("..")
    try:
        found = Range(low=float(low), high=float(high), log=words[1:] == ["log"])
    except ValueError as error:
        raise ValueError(
            f"space has '{item}'; give two numbers, e.g. 0.1..0.9, with ' log' behind if wanted"
        ) from error
    if words[1:] not in ([], ["log"]) or not found.low < found.high or not math.isfinite(found.high - found.low):
        raise ValueError(f"space has '{item}'; give LOW..HIGH with LOW below HIGH, and nothing behind but 'log'")
    if found.log and found.low <= 0:
        raise ValueError(f"space has '{item}'; a range over orders of magnitude begins above 0")
    return found


def _choice(item: str, text: str) -> Choice:
    values = tuple(_value(word.strip()) for word in text.split("|"))
    if "" in values or len(set(values)) < len(values):
        raise ValueError(f"space has '{item}'; give different values separated by |, e.g. 4|6|8")
    return Choice(values=values)


def _value(word: str) -> Value:
    if word in ("true", "false"):
        return word == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word
