"""Numbers with their nouns, in messages and reports of every package."""

from __future__ import annotations


def counted(number: int | str, noun: str) -> str:
    """A number with its noun: `1 thread`, `2 threads`; a text may name several, as `1 or 2 threads`."""
    return f"{number} {noun}" if str(number) == "1" else f"{number} {noun}s"


def verb(number: int, one: str, several: str) -> str:
    """The form of a verb, or of another word, that goes with a number: `one` with 1, else `several`."""
    return one if number == 1 else several
