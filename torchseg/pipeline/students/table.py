"""The table of measured students: one row per student, image size, number of classes and format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torchseg.harness.csv_table import Table, read_values
from torchseg.harness.format import aligned
from torchseg.harness.scoring.latency import NOISY

TABLE = "students.csv"
_TEXTS = ("student", "model", "arguments", "format", "runtime", "versions", "cpu")


@dataclass(frozen=True, kw_only=True)
class StudentRow:
    """What one student costs as an int8 file.

    Attributes:
        student: its name in the family.
        model: name of its builder.
        arguments: of the builder, as the flag takes them.
        height: of the images, in pixels.
        width: of the images, in pixels.
        classes: number of classes.
        format: of the file.
        runtime: that the latency was measured in.
        multiply_adds: per image.
        parameters: weights and biases.
        size_kb: of the file on disk, in kilobytes (powers of ten).
        latency_ms_median: median prediction of one image on one thread.
        latency_ms_min: fastest prediction.
        gmac_per_s: billions of multiply-adds per second in the fastest prediction.
        versions: of the libraries that wrote and ran the file.
        cpu: name of the processor.
        chosen: whether the run trains this student.
    """

    student: str
    model: str
    arguments: str
    height: int
    width: int
    classes: int
    format: str
    runtime: str
    multiply_adds: int
    parameters: int
    size_kb: float
    latency_ms_median: float
    latency_ms_min: float
    gmac_per_s: float
    versions: str
    cpu: str
    chosen: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        """What the measurement depends on."""
        return (
            *(self.model, self.arguments, self.height, self.width, self.classes),
            *(self.format, self.versions, self.cpu),
        )

    @property
    def noisy(self) -> bool:
        """Whether the median is far above the minimum, which means that something else was using the machine."""
        return self.latency_ms_median > NOISY * self.latency_ms_min


def read_rows(path: Path) -> list[StudentRow]:
    """The recorded rows; none if there is no table.

    Raises:
        ValueError: if the file is not such a table.
    """
    try:
        return [StudentRow(**row) for row in read_values(path, texts=_TEXTS)]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a table of students ({error}); remove it, or give --fresh") from error


def write_rows(path: Path, rows: Sequence[StudentRow]) -> None:
    """Writes the table; it appears when it is complete."""
    with Table(path, [field.name for field in fields(StudentRow)]) as table:
        for row in rows:
            table.write(asdict(row))


def table_lines(rows: Sequence[StudentRow]) -> list[str]:
    """The main columns, aligned, one line per row; a last line warns of disturbed timings."""
    titles = ("student", "runtime", "MMAC", "parameters", "kB", "ms (min)", "ms (median)", "GMAC/s", "")
    cells = [
        (
            *(row.student, row.runtime, f"{row.multiply_adds / 1e6:.1f}", str(row.parameters), f"{row.size_kb:.1f}"),
            *(f"{row.latency_ms_min:.2f}", f"{row.latency_ms_median:.2f}", f"{row.gmac_per_s:.1f}"),
            "chosen" if row.chosen else "",
        )
        for row in rows
    ]
    lines = aligned([titles, *cells])
    if disturbed := sum(row.noisy for row in rows):
        lines.append(
            f"{disturbed} of {len(rows)} medians are over {NOISY} times the minimum: other work disturbed the timings"
        )
    return lines
