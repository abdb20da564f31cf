"""Formats numbers for people; an unknown value (None) becomes an empty string."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

_BEFORE_UNIT = re.compile(r"(?<=\d) (?=%|(?:ms|kB|MB|times|points?)\b)")


def percent(share: float | None, *, digits: int = 2) -> str:
    """A share in [0, 1] as a percentage, e.g. `12.50 %`."""
    return "" if share is None else f"{100 * share:.{digits}f} %"


def bytes_text(count: float | None) -> str:
    """Bytes in kB or MB (powers of ten)."""
    if count is None:
        return ""
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def milliseconds(value: float | None) -> str:
    """Milliseconds with about three significant digits."""
    if value is None:
        return ""
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def unbroken(sentence: str) -> str:
    """The sentence with spaces before units that no line breaks at."""
    return _BEFORE_UNIT.sub("\u00a0", sentence)


def with_counts(words: Iterable[str]) -> str:
    """`9 x CONV_2D, CUMSUM` for words of which some are equal, in the order in which each comes first."""
    return ", ".join(f"{count} x {word}" if count > 1 else word for word, count in Counter(words).items())


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equally many cells as lines whose columns are aligned at the left."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def short_names(artifacts: Iterable[str]) -> dict[str, str]:
    """Short name of each file; the full name for files that would share a short name."""
    all_files = list(dict.fromkeys(artifacts))
    counts = Counter(map(short_name, all_files))
    return {each: short_name(each) if counts[short_name(each)] == 1 else each for each in all_files}


def short_name(artifact: str) -> str:
    """`student` for `student/model.safetensors`; the file name for other files."""
    path = PurePosixPath(artifact)
    return path.parent.name if path.name == "model.safetensors" and path.parent.name else path.name
