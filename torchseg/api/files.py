"""Model files: export with certificates, and scores."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from torchseg.api.data import Data
from torchseg.api.network import Network, folder_of
from torchseg.api.options import ExportOptions, Listed, ScoreOptions, config_for
from torchseg.config import FORMATS, PRECISIONS, ExportConfig, ScoreConfig
from torchseg.console import console
from torchseg.harness.csv_table import read_values
from torchseg.harness.format import percent, short_name
from torchseg.harness.scoring.columns import SCORE_TEXTS
from torchseg.pipeline.commands.export import Exported, export_network
from torchseg.pipeline.commands.score import score_files
from torchseg.pipeline.run.summary import table_lines
from torchseg.plural import counted

Model = Network | str | os.PathLike[str]
"""A network, the folder of a checkpoint, or a model file."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ExportedFile(os.PathLike[str]):
    """An exported model file; it can be passed wherever Python takes a path.

    Attributes:
        path: of the file.
        format: `onnx` or `tflite`.
        precision: `fp32`, `fp16`, `dynamic` or `int8`.
        certificate: contents of the JSON file beside it.
    """

    path: Path
    format: str
    precision: str
    certificate: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the certificate holds."""
        return bool(self.certificate["verdict"]["passed"])

    @property
    def failures(self) -> Sequence[str]:
        """Reasons why it does not, one message each."""
        return tuple(self.certificate["verdict"]["failures"])

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        agreement = percent(self.certificate["differences"]["argmax_agreement"], digits=3)
        verdict = "certified" if self.passed else f"FAILED: {'; '.join(self.failures)}"
        return f"ExportedFile({self.path}: agrees on {agreement} of pixels, {verdict})"


@console()
def export(
    network: Network | str | Path,
    data: Data | None = None,
    *,
    formats: Listed = FORMATS,
    precisions: Listed = PRECISIONS,
    out: str | Path | None = None,
    **options: Unpack[ExportOptions],
) -> list[ExportedFile]:
    """Exports a trained network, and certifies that each file computes what the network computes.

    Args:
        network: to export, or the folder of its checkpoint.
        data: to calibrate int8 files (training split) and certify all files (validation split). Default: that of the
            run that the checkpoint lies in.
        formats: any of `onnx`, `tflite` and `keras`, whose files are fp32 alone.
        precisions: any of `fp32`, `fp16`, `dynamic` and `int8`.
        out: folder for the files. Default: `artifacts/` beside the checkpoint.
        **options: any other flag of `export`.

    Returns:
        One file per format and precision, each followed by its variants. Files that fail their certificate are
        included.

    Raises:
        ValueError: if the network does not fit the data, or a format, precision or option is unknown.
        ImportError: if a format needs an extra that is not installed.
    """
    flags: dict[str, object] = {"checkpoint": folder_of(network), "out": Path(out) if out else None, **options}
    flags |= {"formats": formats, "precisions": precisions} | (data.flags if data else {})
    config = config_for(ExportConfig, flags)
    return [_exported_file(each) for each in export_network(config)]


def _exported_file(exported: Exported) -> ExportedFile:
    path, certificate = exported.path, exported.certificate
    return ExportedFile(
        path=path, format=path.suffix[1:], precision=str(certificate["precision"]), certificate=certificate
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ScoreTable:
    """Scores of model files; `str()` is a table of the main columns.

    Attributes:
        rows: of `scores.csv`, one dictionary per file, runtime and thread count; None for an empty cell.
        folder: of all tables and `report.html`.
        failures: files that could not be scored, one message each.
        text: the table.
    """

    rows: Sequence[Mapping[str, Any]]
    folder: Path
    failures: Sequence[str]
    text: str

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"FAILED: {failure}" for failure in self.failures)])

    def __repr__(self) -> str:
        scored = [row for row in self.rows if row["miou"] is not None]
        best = max(scored, key=lambda row: float(row["miou"]), default=None)
        told = f", best mean IoU {percent(best['miou'])} by {short_name(best['artifact'])}" if best else ""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"ScoreTable({counted(len(self.rows), 'row')}{told}{failed}; {self.folder})"


@console()
def score(
    files: Model | Sequence[Model],
    data: Data | None = None,
    *,
    against: Model | None = None,
    out: str | Path | None = None,
    **options: Unpack[ScoreOptions],
) -> ScoreTable:
    """Measures accuracy on the test split, latency, memory and size of model files.

    Args:
        files: one or several of: networks, folders of checkpoints, `.onnx` and `.tflite` files of any tool, and folders
            of runs, which stand for all their files.
        data: to score on. Default: that of the run that the files belong to.
        against: network or file that the others are compared with.
        out: folder for tables and report. Default: that of the run, if one is given, or `runs/scores`.
        **options: any other flag of `score`.

    Returns:
        The table. A file that could not be scored has a row with an `error`.

    Raises:
        ValueError: if a file is missing, is not a model, or has other classes than the data, or an option is unknown.
        ImportError: if a runtime needs an extra that is not installed.
    """
    given = [files] if isinstance(files, Network | str | os.PathLike) else files
    flags: dict[str, object] = {"files": [_path(each) for each in given], "out": Path(out) if out else None, **options}
    flags["against"] = _path(against) if against is not None else None
    scored = score_files(config_for(ScoreConfig, flags | (data.flags if data else {})))
    table = scored.folder / "scores.csv"
    return ScoreTable(
        rows=read_values(table, texts=SCORE_TEXTS),
        folder=scored.folder,
        failures=tuple(map(str, scored.failures)),
        text="\n".join(table_lines(table)),
    )


def _path(model: Model) -> Path:
    return folder_of(model) if isinstance(model, Network) else Path(model)
