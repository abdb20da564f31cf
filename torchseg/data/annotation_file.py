"""Reads the files of annotation tools: whatever is wrong in one becomes one message that names it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torchseg.record import plain_json

_MOST_PIXELS = 2**28  # of an annotated image: more than Pillow opens


def read_annotations(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: naming the file, if it is not JSON.
    """
    try:
        return plain_json(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); export the annotations again") from error


@contextmanager
def naming(path: Path, part: str) -> Iterator[None]:
    """Raises what goes wrong in the block as a ValueError that names the file and the part of it that is read."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{path}: {part} lacks, or names an unknown, {error}; export again") from error
    except (TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"{path}: {part} is not what it should be ({error}); export again") from error
    except ValueError as error:
        raise ValueError(f"{path}: {part} cannot be read: {error}") from error


def number(value: Any) -> float:
    """A coordinate or an area; raises ValueError if it is not finite."""
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"it has {value} as a number; export again")
    return found


def image_size(height: Any, width: Any) -> tuple[int, int]:
    """Height and width as an annotation file gives them; raises ValueError for what no image can have."""
    size = (int(height), int(width))
    if min(size) < 1 or size[0] * size[1] > _MOST_PIXELS:
        raise ValueError(f"it gives the image size {height}x{width}; export again")
    return size
