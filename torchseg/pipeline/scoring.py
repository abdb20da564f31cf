"""The stages that measure and show: the table across runtimes, and the report."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from tf_bridge.baking import picture_spec
from torchseg.checkpoint import read_card, sha256_of
from torchseg.harness.artifact import Artifact
from torchseg.harness.latency import LatencyConfig
from torchseg.harness.score import score_artifacts
from torchseg.pipeline.imported import all_imported
from torchseg.pipeline.pictures import Pictures
from torchseg.pipeline.run_folder import RunFolder, Stage

TABLES = ("scores.csv", "per_class.csv", "per_image.csv", "precision_recall.csv")
_LOG = logging.getLogger(__name__)


class ScoreError(Exception):
    """Some files could not be scored; the tables have a row for each that says why."""


def score_stage(pictures: Pictures, folder: RunFolder, stages: list[str]) -> Stage:
    """Scores the checkpoints of `stages` and every file in `artifacts/`.

    Running it raises ScoreError, with the tables in place, if a file failed: the stage is then tried again next time.
    """
    artifacts = find_artifacts(folder.path, stages)
    inputs = {
        "stages": {name: folder.digest(name) for name in stages},
        "files": {each.path.name: sha256_of(each.path) for each in artifacts if each.reference},
        "data": pictures.fingerprint,
    }

    def run(work: Path) -> None:
        # The harness names files relative to the run folder, so it writes there; each table appears when complete.
        timing = LatencyConfig(budget_s=5.0)  # scripts/score.py takes longer and gives tighter intervals
        failures = score_artifacts(artifacts, pictures.test, pictures.spec, folder.path, config=timing)
        if failures:
            raise ScoreError("; ".join(str(failure) for failure in failures))
        for table in TABLES:
            (folder.path / table).replace(work / table)

    return Stage(name="score", inputs=inputs, outputs=TABLES, run=run)


def report_stage(folder: RunFolder, stages: list[str]) -> Stage:
    """Builds `report.html` from what the run folder holds."""

    def run(work: Path) -> None:
        from torchseg.harness.report import write_report

        write_report(folder.path).replace(work / "report.html")

    inputs = {name: folder.digest(name) for name in stages}
    tables = [folder.path / table for table in (*TABLES, "ledger.csv")]
    inputs |= {table.name: sha256_of(table) for table in tables if table.is_file()}
    return Stage(name="report", inputs=inputs, outputs=["report.html"], run=run)


def find_artifacts(run: Path, stages: list[str]) -> list[Artifact]:
    """The checkpoints of `stages`, then every certified or failed file in `artifacts/` with its checkpoint."""
    found = [Artifact(path=run / name, stage=name, format="torch", precision="fp32") for name in stages]
    for path in sorted((run / "artifacts").glob("*.*")):
        if path.suffix not in (".onnx", ".tflite") or ".failed." in path.name:
            continue
        stage, precision = path.stem.split(".")[:2]
        if stage in stages:
            found.append(
                Artifact(
                    path=path,
                    stage=stage,
                    format=path.suffix[1:],
                    precision=precision,
                    reference=run / stage,
                    certified=_is_certified(path),
                    spec=picture_spec(read_card(run / stage).spec) if ".baked." in path.name else None,
                )
            )
    return found


def imported_artifacts(run: Path) -> list[Artifact]:
    """The ONNX file of every imported network, and the original where a runtime here can run it."""
    found = []
    for each in all_imported(run):
        original = run / each.file
        common: dict[str, Any] = {"stage": each.stage, "spec": each.spec}
        reference = original if each.kind == "tflite" else None
        if reference:
            precision = original.name.split(".")[-2]
            found.append(Artifact(path=original, format="tflite", precision=precision, **common))
        path = run / "artifacts" / f"{each.stage}.{each.precision}.onnx"
        if path.is_file():
            common |= {"reference": reference, "certified": _is_certified(path)}
            found.append(Artifact(path=path, format="onnx", precision=each.precision, **common))
    return found


def artifacts_in(run: Path) -> list[Artifact]:
    """Every checkpoint and model file of a run, imported ones last."""
    return find_artifacts(run, checkpoints_in(run)) + imported_artifacts(run)


def checkpoints_in(run: Path) -> list[str]:
    """Names of the stages of a run that left a checkpoint."""
    return sorted(card.parent.name for card in run.glob("*/card.json"))


def _is_certified(path: Path) -> bool | None:
    certificate = path.with_name(path.name + ".json")
    return bool(json.loads(certificate.read_text())["verdict"]["passed"]) if certificate.is_file() else None
