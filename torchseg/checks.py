"""Rules that flags and library functions share, each with one wording."""

from __future__ import annotations

from math import inf
from pathlib import Path

_LONGEST_NAME = 200
_FEWEST_FOLDS, _MOST_FOLDS = 3, 20  # train, validation and test need a part each


def check_positive(name: str, value: float, *, example: str) -> None:
    """Raises a ValueError that names the argument unless its value is positive and finite."""
    if not 0 < value < inf:
        raise ValueError(f"{name} is {value}; give a positive number, e.g. {example}")


def check_ema(ema: float) -> None:
    """Raises a ValueError unless the decay of the moving average of weights is in [0, 1)."""
    if not 0 <= ema < 1:
        raise ValueError(f"ema is {ema}; give a decay in [0, 1), e.g. 0.99, or 0 for no average")


def check_fold_count(flag: str, count: int) -> None:
    """Raises a ValueError that names the flag unless a data set can be cut into so many folds."""
    if not _FEWEST_FOLDS <= count <= _MOST_FOLDS:
        raise ValueError(f"{flag} asks for {count} folds; give {_FEWEST_FOLDS} to {_MOST_FOLDS}, e.g. 5")


def check_name(what: str, name: str, *, longest: int = _LONGEST_NAME) -> None:
    """Raises a ValueError unless a name that a file gives can be part of a path without leading elsewhere.

    Parts may be separated by slashes, as in `trials/000`.
    """
    parts = name.split("/")
    if (
        not 0 < len(name) <= longest
        or any(not part or part.startswith(".") for part in parts)
        or any(each in "\\:" or not each.isprintable() for each in name)
    ):
        raise ValueError(
            f"{what} is {name[:80]!r}; expected a name without leading slashes or dots, backslashes and colons"
        )


def check_no_device(path: Path) -> None:
    """Raises a ValueError for a pipe, a socket or a device, on which reading may wait for ever."""
    if path.is_fifo() or path.is_socket() or path.is_char_device() or path.is_block_device():
        raise ValueError(f"{path} is a pipe or a device; expected a plain file: remove it, or name a file")
