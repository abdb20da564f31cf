"""The ledger of a run: zeros and distinct values in every checkpoint and file, and whether any were lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchseg.checkpoint import load_checkpoint, read_card
from torchseg.compress import LedgerRow, check_ledger, ledger_row, model_ledger, total
from torchseg.compress.ledger import Per
from torchseg.harness.csv_table import CRLF, write_rows
from torchseg.harness.measure.weights import weights_in
from torchseg.harness.scoring.artifact import Artifact, artifact_names
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.stages.scoring import find_artifacts

LEDGER = "ledger.csv"
COLUMNS = (
    *("stage", "artifact", "tensor", "parameters", "channels", "zeros", "sparsity", "unique_values"),
    *("unique_per_channel", "nan", "subnormal", "dtype", "multiply_adds"),
)

LEDGER_TEXTS = ("stage", "artifact", "tensor", "dtype")  # the columns that are text


class LedgerError(Exception):
    """A stage or a file has fewer zeros or more distinct values than its source."""


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """All ledger rows of one checkpoint or file."""

    artifact: Artifact
    rows: Sequence[LedgerRow]


def ledger_stage(folder: RunFolder, stages: Sequence[str], *, without: Collection[str] = ()) -> Stage:
    """Counts the weights of the checkpoints of `stages` and of every file in `artifacts/` into `ledger.csv`.

    Files of the names `without` are left out.

    If a file holds fewer zeros or more distinct values than its checkpoint, the stage writes the table and then raises
    LedgerError.
    """
    artifacts = find_artifacts(folder.path, list(stages), without=without)
    inputs: dict[str, Any] = {"stages": {name: folder.digest(name) for name in stages}, "version": 2}
    inputs |= {"files": {each.path.name: each.file.sha256 for each in artifacts if each.reference}}

    def run(work: Path) -> None:
        entries = [_Entry(artifact=each, rows=_rows(each)) for each in artifacts]
        losses = list(_losses(entries))
        _write(entries, (folder.path if losses else work) / LEDGER, run=folder.path)
        if losses:
            raise LedgerError("; ".join(losses))

    return Stage(name="ledger", inputs=inputs, outputs=[LEDGER], run=run)


def _rows(artifact: Artifact) -> list[LedgerRow]:
    if artifact.format == "torch":
        return model_ledger(load_checkpoint(artifact.path)[0])
    return [ledger_row(each.name, each.rows, dtype=each.dtype) for each in weights_in(artifact.path)]


def _losses(entries: Sequence[_Entry]) -> Iterator[str]:
    """Describes zeros and shared values that a checkpoint has and its files have not."""
    checkpoints = {each.artifact.stage: each.rows for each in entries if each.artifact.format == "torch"}
    for each in entries:
        if each.artifact.format != "torch":
            before = checkpoints[each.artifact.stage]
            for loss in check_ledger(before, each.rows, per=_shared_by(before, each.rows)):
                yield f"{each.artifact.path.name}: {loss}"


def _shared_by(before: Sequence[LedgerRow], after: Sequence[LedgerRow]) -> Per:
    """Whether a file's values are shared per tensor or per channel.

    Per channel if the checkpoint was clustered per channel, or if the file holds integers with one scale per channel.
    """
    whole = total(before)
    floats = all(row.dtype.startswith("float") for row in after)
    return "tensor" if floats and whole.unique_values <= whole.unique_per_channel else "channel"


def _write(entries: Sequence[_Entry], path: Path, *, run: Path) -> None:
    names = artifact_names([each.artifact for each in entries], run)  # the names in scores.csv
    rows = (
        _cells(each.artifact, name, row)
        for each, name in zip(entries, names, strict=True)
        for row in (*each.rows, total(each.rows))
    )
    write_rows(path, COLUMNS, rows, line_end=CRLF)


def _cells(artifact: Artifact, name: str, row: LedgerRow) -> dict[str, str | int | None]:
    metrics = read_card(artifact.reference or artifact.path).metrics
    return {
        "stage": artifact.stage,
        "artifact": name,
        "tensor": row.tensor,
        "parameters": row.parameters,
        "channels": row.channels,
        "zeros": row.zeros,
        "sparsity": f"{row.sparsity:.6f}",
        "unique_values": row.unique_values,
        "unique_per_channel": row.unique_per_channel,
        "nan": row.nan,
        "subnormal": row.subnormal,
        "dtype": row.dtype,
        "multiply_adds": int(metrics.get("multiply_adds", 0)) or None if row.tensor == "total" else None,
    }
