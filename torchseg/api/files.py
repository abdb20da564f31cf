"""Model files: writing them with their certificates, and measuring them side by side."""

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
from torchseg.harness.csv_table import read_values
from torchseg.harness.format import counted, percent, short_name
from torchseg.harness.scoring.columns import SCORE_TEXTS
from torchseg.pipeline.commands.export import Exported, export_network
from torchseg.pipeline.commands.score import score_files
from torchseg.pipeline.commands.summary import table_lines

Model = Network | str | os.PathLike[str]
"""A network, the folder of a checkpoint, or a model file."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ExportedFile(os.PathLike[str]):
    """A model file; takes the place of its path wherever Python wants one.

    Attributes:
        path: of the file.
        format: `onnx` or `tflite`.
        precision: `fp32`, `fp16`, `dynamic` or `int8`.
        certificate: what was compared with the network, and the verdict, as in the JSON file beside it.
    """

    path: Path
    format: str
    precision: str
    certificate: Mapping[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the file proved to compute what its network computes."""
        return bool(self.certificate["verdict"]["passed"])

    @property
    def failures(self) -> Sequence[str]:
        """Why it did not, a sentence each."""
        return tuple(self.certificate["verdict"]["failures"])

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        agreement = percent(self.certificate["differences"]["argmax_agreement"], digits=3)
        verdict = "certified" if self.passed else f"FAILED: {'; '.join(self.failures)}"
        return f"ExportedFile({self.path}: agrees on {agreement} of pixels, {verdict})"


def export(
    network: Network | str | Path,
    data: Data | None = None,
    *,
    formats: Listed = FORMATS,
    precisions: Listed = PRECISIONS,
    out: str | Path | None = None,
    **options: Unpack[ExportOptions],
) -> list[ExportedFile]:
    """Exports a trained network, and compares each file with it.

    Args:
        network: to export, or the folder of its checkpoint.
        data: int8 files are calibrated on its training part, and all are certified on its validation part. Default:
            that of the run which the checkpoint lies in.
        formats: any of `onnx` and `tflite`.
        precisions: any of `fp32`, `fp16`, `dynamic` and `int8`.
        out: folder for the files. Default: `artifacts/` beside the checkpoint.
        **options: any other flag of `export`.

    Returns:
        Every format at every precision, each followed by the files that the options ask for beside it. A file that
        fails its certificate is among them.

    Raises:
        ValueError: if the network does not fit the data, or there is no such format, precision or option.
        ImportError: if what writes a format is not installed.
    """
    flags: dict[str, object] = {"checkpoint": folder_of(network), "out": Path(out) if out else None, **options}
    flags |= {"formats": formats, "precisions": precisions} | (data.flags if data else {})
    config = config_for(ExportConfig, flags)
    return [_exported_file(each) for each in export_network(config, config if data else None)]


def _exported_file(exported: Exported) -> ExportedFile:
    path, certificate = exported.path, exported.certificate
    return ExportedFile(
        path=path, format=path.suffix[1:], precision=str(certificate["precision"]), certificate=certificate
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ScoreTable:
    """Scores of model files; `str()` of it is a table with the main columns.

    Attributes:
        rows: a dictionary for each file, runtime and number of threads, with the columns of `scores.csv`; None where
            nothing is known.
        folder: with all tables, and `report.html`.
        failures: files that could not be scored and why, a sentence each.
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


def score(
    files: Model | Sequence[Model],
    data: Data | None = None,
    *,
    against: Model | None = None,
    out: str | Path | None = None,
    **options: Unpack[ScoreOptions],
) -> ScoreTable:
    """Scores model files side by side: accuracy on the test part, size, memory, and time in their runtimes.

    Args:
        files: networks, folders of checkpoints, `.onnx` and `.tflite` files from anywhere, or the folder of a run,
            which stands for all files in it; one of them or several.
        data: to score on. Default: that of the run which the files belong to.
        against: network or file that the time and the accuracy of the others are held against.
        out: folder for tables and report. Default: that of the run, if one is given, or `runs/scores`.
        **options: any other flag of `score`.

    Returns:
        The table. A file that could not be scored is a row with an `error`.

    Raises:
        ValueError: if a file is missing or no model, tells other classes apart than the data has, or an option does
            not exist.
        ImportError: if a runtime that was asked for is not installed.
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
