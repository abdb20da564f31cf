"""Reads what a run folder holds: tables, curves, certificates, configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchseg.harness.csv_table import read_table
from torchseg.harness.report.run_parts import AnyFields, Confusion, read_gallery, read_part, text_of
from torchseg.harness.scoring.columns import CONFUSION, SCORE_COLUMNS
from torchseg.harness.scoring.measurement import TEST
from torchseg.modelfile.certificate import FEW_IMAGES, TOO_FEW, ShownCertificate

Row = Mapping[str, str]
_STAGES = (
    "teacher",
    "trained",
    "student",
    "baseline",
    "channel_pruned",
    "shrunk",  # name of channel_pruned in those runs
    "pruned",
    "clustered",
)  # in the order in which a run makes them


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The contents of a run folder; a field is empty if its file is missing.

    Attributes:
        folder: folder of the run.
        scores: rows of scores.csv.
        classes: rows of per_class.csv.
        precision_recall: rows of precision_recall.csv.
        pictures: rows of per_image.csv for the images in the gallery.
        curves: rows of curves.csv by stage, in the order of the stages.
        certificates: contents of each certificate by the file name of its model file.
        ledger: rows of ledger.csv.
        environment: contents of environment.json.
        config: text of config.yaml.
        data: contents of data.json: the number of images and pixels of each split.
        gallery: contents of figures/gallery.json.
        confusion: contents of figures/confusion.json.
    """

    folder: Path
    scores: Sequence[Row]
    classes: Sequence[Row]
    precision_recall: Sequence[Row]
    pictures: Sequence[Row]
    curves: Mapping[str, Sequence[Row]]
    certificates: Mapping[str, Mapping[str, Any]]
    ledger: Sequence[Row]
    environment: Mapping[str, Any]
    config: str
    data: Mapping[str, Any]
    gallery: Mapping[str, Any]
    confusion: Mapping[str, Any]

    @property
    def split(self) -> str:
        """The split that the scores are of."""
        return split_of(self.scores)

    @property
    def on_split(self) -> str:
        """` of the train split`, to stand behind a heading; empty for the test split, which goes without saying."""
        return "" if self.split == TEST else f" of the {self.split} split"

    @property
    def target(self) -> str | None:
        """Where the files will run, from the flags of the run; None if they do not say."""
        return self.flag("target")

    def flag(self, name: str) -> str | None:
        """The value of a flag in config.yaml, as text; None if it is missing, empty or null."""
        values = (line.partition(": ") for line in self.config.splitlines())
        found = next((value.strip("'\" ") for key, _, value in values if key == name), "")
        return found if found not in ("", "null") else None


def read_run(folder: Path) -> RunRecord:
    """Reads a run folder; missing files are left out, and so are damaged ones, with a warning.

    Raises:
        ValueError: if there is no such folder, or it is not the folder of a run.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; give the folder of a run, e.g. runs/scenes")
    curves = {path.parent.name: read_table(path) for path in folder.glob("*/curves.csv")}
    scores = read_scores(folder / "scores.csv")
    if not scores and not curves:
        raise ValueError(f"{folder} holds neither scores.csv nor a stage's curves.csv; give the folder of a run")
    gallery = read_gallery(folder)
    return RunRecord(
        folder=folder,
        scores=scores,
        classes=read_table(folder / "per_class.csv", needed=("artifact", "class")),
        precision_recall=read_table(folder / "precision_recall.csv", needed=("artifact", "runtime", "class")),
        pictures=_rows_of(folder / "per_image.csv", {str(each["name"]) for each in gallery.get("samples", [])}),
        curves={stage: curves[stage] for stage in sorted(curves, key=chain_rank)},
        certificates={
            path.name.removesuffix(".json"): read_part(path, ShownCertificate)
            for path in sorted(folder.glob("artifacts/*.json"))
        },
        ledger=read_table(folder / "ledger.csv"),
        environment=read_part(folder / "environment.json", AnyFields),
        config=text_of(folder / "config.yaml"),
        data=read_part(folder / "data.json", AnyFields),
        gallery=gallery,
        confusion=read_part(folder / CONFUSION, Confusion),
    )


def number(row: Row, column: str) -> float | None:
    """The value of a cell; None if it is empty, missing or not a finite number."""
    try:
        value = float(row.get(column, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def split_of(rows: Sequence[Row]) -> str:
    """The split that rows of scores.csv are of: train, validation or test."""
    return next((row["split"] for row in rows if row.get("split")), TEST)


def no_test_results(split: str) -> str:
    """What a reader of scores must know if they are not of the test split; empty if they are."""
    if split == TEST:
        return ""
    return f"These are no test results: they were measured on the {split} split."


def conditions(rows: Sequence[Row]) -> dict[str, str]:
    """The distinct values of each column over all rows, joined by `or`."""
    return {name: " or ".join(dict.fromkeys(row[name] for row in rows if row[name])) for name in rows[0]}


def read_scores(path: Path) -> list[dict[str, str]]:
    """Rows of a scores.csv; columns that an older version did not write are empty, and its words are today's."""
    empty = dict.fromkeys(SCORE_COLUMNS, "")
    rows = [empty | row for row in read_table(path, needed=("artifact",))]
    return [row | {"certified": FEW_IMAGES} if row["certified"] == TOO_FEW else row for row in rows]


def chain_rank(stage: str) -> tuple[int, str]:
    """Sort key of a stage: known stages in the order in which a run makes them, then others by name."""
    return (_STAGES.index(stage) if stage in _STAGES else len(_STAGES), stage)


def stage_colours(run: RunRecord) -> dict[str, int]:
    """Colour index per stage, in the order of the stages; the same in every chart of a run."""
    stages = {*run.curves, *(row["stage"] for row in run.scores)}
    return {stage: at % 8 for at, stage in enumerate(sorted(stages, key=chain_rank))}


def _rows_of(path: Path, images: set[str]) -> list[Row]:
    """The rows of these images; the file has one row per image and model file."""
    return [row for row in read_table(path, needed=("artifact", "image")) if row["image"] in images] if images else []
