"""The students command: measures how large and how fast each student is on this machine."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from torchseg.cli.command import DONE, other_command
from torchseg.config import StudentsConfig
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.run.installed import check_formats
from torchseg.pipeline.students.figure import FIGURE, save_students_figure
from torchseg.pipeline.students.measure import FILES, Meter
from torchseg.pipeline.students.table import TABLE, StudentRow, table_lines
from torchseg.spec import ImageSpec


def students(config: StudentsConfig) -> int:
    """Measures the students that are not measured yet; writes and prints the table, and draws the figure."""
    check_formats(config.kinds)
    torch.set_num_threads(config.cores)
    height, width = config.height_and_width
    spec = ImageSpec(height=height, width=width, classes=tuple(f"class {at}" for at in range(config.classes)))
    folder = RunFolder(config.run)
    with folder.held():
        if config.fresh:
            folder.forget()
        rows = Meter(spec, folder, seed=config.seed).rows(config.kinds)
        save_students_figure(folder.path / FIGURE, rows)
    print(f"int8 files for {height}x{width} images and {config.classes} classes, one thread of {rows[0].cpu}:\n")
    print("\n".join(table_lines(rows)) + "\n")
    for name, what in (("table", TABLE), ("figure", FIGURE), ("files", FILES)):
        print(f"  {name:8} {folder.path / what}")
    print(f"  next     {_next(config, rows)}")
    return DONE


def _next(config: StudentsConfig, rows: Sequence[StudentRow]) -> str:
    """A command that trains a student of middling speed, in the format that it measures by."""
    kind = "tflite" if "tflite" in config.kinds else "onnx"
    times = sorted(row.latency_ms_min for row in rows if row.format == kind)
    formats = "" if kind == "tflite" else " --formats onnx"
    return (
        f"{other_command('distill')} --image_size {config.size}{formats} --student auto "
        f"--max_latency_ms {_rounded_up(times[len(times) // 2])}"
    )


def _rounded_up(value: float) -> str:
    """The value with two significant digits, not below it."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / unit) * unit:.6g}"
