"""The tables of a grid, named as in the published project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torchseg.harness.csv_table import read_table, write_rows
from torchseg.pipeline.grid.effects import EFFECT_COLUMNS, METRICS, Effect, main_effects
from torchseg.pipeline.grid.plan import Cell, GridPlan, Training
from torchseg.pipeline.grid.record import TrainingRecord, read_training
from torchseg.pipeline.grid.trainer import TrainingRunner

TRAINED = "trained_models_info.csv"
COMPRESSED = "compressed_models_info.csv"
INDIVIDUAL = "model_performance_individual_results.csv"
AVERAGE = "model_performance_average_results.csv"
EFFECTS = "main_effects.csv"
TRAINED_COLUMNS = (
    *("epochs_trained", "parameters", "multiply_adds", "val_miou", "train_loss", "val_loss"),
    *("total_time_s", "memory_mb", "status", "reason"),
)
COMPRESSED_COLUMNS = (
    *("file", "size_bytes", "gzip_bytes", "times_smaller", "certified", "certificate_agreement", "float_layers"),
    *("parameters", "total_time_s", "memory_mb", "status", "reason"),
)
INDIVIDUAL_COLUMNS = ("file", "image", "time_ms", "memory_mb", "iou", "dice")
AVERAGE_COLUMNS = (
    *("file", "pictures", "time_ms", "latency_ms_min", "load_ms", "memory_mb", "noisy", "iou", "dice"),
    *("iou_of_pictures", "dice_of_pictures", "images", "argmax_agreement", "size_bytes", "status", "reason"),
)
# Columns that may differ between two runs of the same grid.
TIMING_COLUMNS = ("total_time_s", "memory_mb", "time_ms", "latency_ms_min", "load_ms", "noisy")
RESERVED = {"training", *TRAINED_COLUMNS, *COMPRESSED_COLUMNS, *INDIVIDUAL_COLUMNS, *AVERAGE_COLUMNS} - {"file"}
OK, FAILED, UNCERTIFIED = "ok", "failed", "certificate fails"
_Row = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class GridTables:
    """Writes the results of a grid.

    Attributes:
        plan: of the grid.
        maker: knows the paths of files.
        classes: names of the classes that IoU and Dice are averaged over, by name of the training.
        failures: reasons, by names of training and file.
    """

    plan: GridPlan
    maker: TrainingRunner
    classes: Mapping[str, Sequence[str]]
    failures: Mapping[tuple[str, str], str]

    def write(self) -> list[Effect]:
        """Writes the four tables and `main_effects.csv`; returns the effects."""
        records = {each.name: read_training(self.maker.run(each)) for each in self.plan.trainings}
        cells = [(cell, records[cell.training.name]) for cell in self.plan.cells]
        head = ("training", *self.plan.factors)
        by_training = ("training", *self.plan.training_factors())
        self._write(
            TRAINED, (*by_training, *TRAINED_COLUMNS), map(self._trained, self.plan.trainings, records.values())
        )
        self._write(COMPRESSED, _columns(head, COMPRESSED_COLUMNS), (self._compressed(*each) for each in cells))
        individual = (row for each in cells for row in self._individual(*each))
        self._write(INDIVIDUAL, _columns(head, INDIVIDUAL_COLUMNS), individual)
        self._write(AVERAGE, _columns(head, AVERAGE_COLUMNS), (self._average(*each) for each in cells))
        return self._effects()

    def _trained(self, training: Training, record: TrainingRecord) -> _Row:
        reasons = [self.failures.get((training.name, file), "") for file in self.plan.files(training)]
        reason = next((each for each in reasons if each.startswith("training: ")), "")
        known = {} if reason else record.training()
        return {
            "training": training.name,
            **training.levels,
            "status": FAILED if reason else OK,
            "reason": reason,
        } | known

    def _compressed(self, cell: Cell, record: TrainingRecord) -> _Row:
        row = self._named(cell, record)
        return row if row["status"] == FAILED else row | record.training() | record.file(cell.file)

    def _individual(self, cell: Cell, record: TrainingRecord) -> Iterable[_Row]:
        row = self._named(cell, record)
        if row["status"] != FAILED:
            for each in record.individual(cell.file):
                yield row | each

    def _average(self, cell: Cell, record: TrainingRecord) -> _Row:
        row = self._named(cell, record)
        classes = self.classes[cell.training.name]
        return row if row["status"] == FAILED else row | record.average(cell.file, classes)

    def _named(self, cell: Cell, record: TrainingRecord) -> dict[str, object]:
        """The cell's levels, its status and, if it failed, the reason."""
        failure, unproven = self.failures.get((cell.training.name, cell.file), ""), record.failure(cell.file)
        status = FAILED if failure else UNCERTIFIED if unproven else OK
        named: dict[str, object] = {"training": cell.training.name, "file": cell.file, **cell.levels}
        return named | {"status": status, "reason": failure or unproven}

    def _effects(self) -> list[Effect]:
        rows = read_table(self.maker.folder.path / AVERAGE)
        effects = [each for metric in METRICS for each in main_effects(rows, self.plan.factors, metric)]
        self._write(EFFECTS, EFFECT_COLUMNS, (each.row() for each in effects))
        return effects

    def _write(self, name: str, columns: Sequence[str], rows: Iterable[_Row]) -> None:
        chosen = ({column: row.get(column) for column in columns} for row in rows)
        write_rows(self.maker.folder.path / name, columns, chosen)


def _columns(head: Sequence[str], rest: Sequence[str]) -> tuple[str, ...]:
    """Column names without duplicates: a factor with the name of another column keeps its place at the front."""
    return (*head, *(name for name in rest if name not in head))
