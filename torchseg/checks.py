"""Rules that flags and library functions share, each with one wording."""

from __future__ import annotations


def check_positive(name: str, value: float, *, example: str) -> None:
    """Raises a ValueError that names the argument unless its value is positive; NaN is not."""
    if not value > 0:
        raise ValueError(f"{name} is {value}; give a positive number, e.g. {example}")
