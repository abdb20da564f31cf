"""What a hyper-parameter search may choose from, read from a flag. Nothing heavy is imported here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_DIGITS = 4  # a chosen number is written with so many: nobody wants 0.0019374617 in a configuration

Value = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Range:
    """All numbers from `low` to `high`; `log` spreads them evenly over orders of magnitude."""

    low: float
    high: float
    log: bool = False

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values to try first when asking whether any can work."""
        return self.low, self.high

    def holds(self, value: Value) -> bool:
        """Whether a trial could have it."""
        return self.low <= float(value) <= self.high

    def tidy(self, value: Value) -> Value:
        """The number with few digits, still in the range."""
        rounded = float(f"{float(value):.{_DIGITS}g}")
        return min(max(rounded, self.low), self.high)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of these."""

    values: tuple[Value, ...]

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values to try first when asking whether any can work: all of them."""
        return self.values

    def holds(self, value: Value) -> bool:
        """Whether a trial could have it."""
        return value in self.values

    def tidy(self, value: Value) -> Value:
        """The value as it was given: engines hand numbers back in types of their own."""
        return next(each for each in self.values if each == value)


Space = Mapping[str, Range | Choice]


def parse_space(text: str) -> dict[str, Range | Choice]:
    """Reads `learning_rate=0.0005..0.01 log, alpha=0.1..0.9, base_width=4|6|8`.

    Raises:
        ValueError: for another form, a name that comes twice, a range that is none, or no name at all.
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
            "e.g. 'learning_rate=0.0005..0.01 log, base_width=4|6|8'"
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
