"""Classes of which the scored images show too few pixels for a mean over classes to mean much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torchseg.harness.report.run_record import Row, number
from torchseg.harness.scoring.measurement import TEST
from torchseg.plural import counted

FEW_PIXELS = 1000  # of a class, in all scored images together: a square of 32x32
MARK = "*"


def rare_classes(rows: Iterable[Row]) -> dict[str, int]:
    """Pixels of each class that occurs and has fewer than `FEW_PIXELS`, from rows of per_class.csv for one file."""
    return few({row["class"]: int(count) for row in rows if (count := number(row, "pixels")) is not None})


def few(pixels: Mapping[str, int]) -> dict[str, int]:
    """The classes that occur and have fewer than `FEW_PIXELS` pixels; those without any count in no mean."""
    return {name: count for name, count in pixels.items() if 0 < count < FEW_PIXELS}


def rare_text(rare: Mapping[str, int], *, split: str = TEST) -> str:
    """Names the classes with their pixels: `ring 3 pixels, wire 812 pixels: fewer than 1,000 in the test images`."""
    listed = ", ".join(f"{name} {counted(f'{count:,}', 'pixel')}" for name, count in rare.items())
    return f"{listed}: fewer than {FEW_PIXELS:,} in the {split} images"
