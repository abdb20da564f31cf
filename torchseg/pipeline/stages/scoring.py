"""The stages that score model files across runtimes and build the report."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tf_bridge.end_to_end import end_to_end_spec
from torchseg.checkpoint import sha256_of
from torchseg.harness.csv_table import read_table
from torchseg.harness.report.run_record import split_of
from torchseg.harness.scoring.artifact import Artifact
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.harness.scoring.measurement import TEST
from torchseg.harness.scoring.score import score_artifacts
from torchseg.modelfile.certificate import FEW_IMAGES
from torchseg.modelfile.kinds import EXPORT_SUFFIXES
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.precision import precision_in_name
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import RunFolder, Stage, is_run
from torchseg.pipeline.run.imported import all_imported
from torchseg.pipeline.run.session import CONFIG
from torchseg.pipeline.stages.export import ARTIFACTS

TABLES = ("scores.csv", "per_class.csv", "per_image.csv", "precision_recall.csv")
Source = tuple[str, int, int]
"""SHA-256 of the weights, and the image height and width, that a model file was made from."""
_LOG = logging.getLogger(__name__)


class ScoreError(Exception):
    """Some files could not be scored; each has a row in the tables that gives the reason."""


def score_stage(pictures: Pictures, folder: RunFolder, stages: list[str], *, without: Collection[str] = ()) -> Stage:
    """Scores the checkpoints of `stages` and every file in `artifacts/`, without those of these names.

    If a file cannot be scored, the stage writes the tables, raises ScoreError, and runs again next time.
    """
    artifacts = find_artifacts(folder.path, stages, without=without)
    inputs = {
        "stages": {name: folder.digest(name) for name in stages},
        "files": {each.path.name: each.file.sha256 for each in artifacts if each.reference},
        "data": pictures.fingerprint,
    }

    def run(work: Path) -> None:
        # The harness names files relative to the run folder, so it writes there; a table appears once it is complete.
        timing = LatencyConfig(budget_s=5.0)  # scripts/score.py takes longer and gives tighter intervals
        failures = score_artifacts(artifacts, pictures.test, pictures.spec, folder.path, config=timing)
        if failures:
            raise ScoreError("; ".join(str(failure) for failure in failures))
        for table in TABLES:
            (folder.path / table).replace(work / table)

    return Stage(name="score", inputs=inputs, outputs=TABLES, run=run)


def report_stage(folder: RunFolder, stages: list[str], *, target: str | None) -> Stage:
    """Builds `report.html`, with the file to take for `target`, from the contents of the run folder."""

    def run(work: Path) -> None:
        from torchseg.harness.report.report import write_report

        write_report(folder.path, target=target).replace(work / "report.html")

    inputs = {name: folder.digest(name) for name in stages}
    tables = [folder.path / table for table in (*TABLES, "ledger.csv")]
    inputs |= {table.name: sha256_of(table) for table in tables if table.is_file()}
    inputs["target"] = target or ""
    return Stage(name="report", inputs=inputs, outputs=["report.html"], run=run)


def find_artifacts(
    run: Path, stages: list[str], *, name: str | None = None, without: Collection[str] = ()
) -> list[Artifact]:
    """The checkpoints of `stages`, then the files `artifacts/STAGE.PRECISION.*` that were made from them.

    Leaves out files that failed their certificate, and files left by an earlier training, whose certificates name other
    weights or another image size, and those of the names `without`. With `name`, considers only the file of that name.
    """
    found = [Artifact(path=run / stage, stage=stage, format="torch", precision="fp32") for stage in stages]
    checkpoints = {each.stage: each.file for each in found}  # hashed only if they have files, each once
    for path in sorted((run / "artifacts").glob("*.*.*")):
        stage, _, *rest = path.name.split(".")
        if (
            path.suffix not in EXPORT_SUFFIXES
            or stage not in stages
            or "failed" in rest
            or name not in (None, path.name)
            or path.name in without
        ):
            continue
        file, checkpoint = ModelFile(path), checkpoints[stage]
        if file.certificate and _source_in(file.certificate) != _source(checkpoint):
            _LOG.warning("%s was made from an earlier %s and is left out; export it again or delete it", path, stage)
            continue
        found.append(
            Artifact(
                path=path,
                stage=stage,
                format=path.suffix[1:],
                precision=precision_in_name(path) or file.precision,
                reference=run / stage,
                certified=_is_certified(file),
                file=file,
                spec=end_to_end_spec(checkpoint.card.spec)
                if {"end_to_end", "baked"} & {*rest}
                else None,  # version 0.1 writes "baked"
            )
        )
    return found


def imported_artifacts(run: Path) -> list[Artifact]:
    """The ONNX file of every imported network, and the original if it is a TFLite file, which can be scored here."""
    found = []
    for each in all_imported(run):
        original = run / each.file
        common: dict[str, Any] = {"stage": each.stage, "spec": each.spec}
        reference = original if each.kind == "tflite" else None
        if reference:
            precision = precision_in_name(original) or each.precision
            found.append(Artifact(path=original, format="tflite", precision=precision, **common))
        path = run / "artifacts" / f"{each.stage}.{each.precision}.onnx"
        if path.is_file():
            file = ModelFile(path)
            common |= {"reference": reference, "certified": _is_certified(file), "file": file}
            found.append(Artifact(path=path, format="onnx", precision=each.precision, **common))
    return found


def check_split(out: Path, split: str) -> None:
    """Raises ValueError if scores of this split would go into a folder that holds those of another one, or of a run."""
    if split != TEST and (is_run(out) or (out / CONFIG).is_file()):
        raise ValueError(
            f"{out} is a run, whose tables are those of its test split; give the scores of its {split} split a folder "
            f"of their own, e.g. --out {out}/scores_{split}"
        )
    rows = read_table(out / TABLES[0])
    if rows and (there := split_of(rows)) != split:
        raise ValueError(
            f"{out} holds scores of the {there} split, which those of the {split} split would replace; give another "
            f"folder, e.g. --out {out}_{split}"
        )


def not_asked_for(folder: RunFolder, wanted: Collection[str]) -> set[str]:
    """Names of model files that stages of an earlier command wrote, and that this one does not ask for; warns of them.

    Files that the `export` command wrote are not among them: somebody wanted them beside those of the chain.

    Args:
        folder: of the run.
        wanted: names of the stages that write model files in this command.
    """
    written = {name for name in folder.written() if name.startswith(f"{ARTIFACTS}/")}
    left = sorted(name.rpartition("/")[2] for name in written - {*wanted} if Path(name).suffix in EXPORT_SUFFIXES)
    if left:
        _LOG.warning(
            "not scored, because this command does not ask for them: %s; `score` measures every file of a run",
            ", ".join(left),
        )
    return set(left)


def artifacts_in(run: Path, *, name: str | None = None) -> list[Artifact]:
    """Every checkpoint and model file of a run, imported ones last; `name` works as in `find_artifacts`."""
    return find_artifacts(run, checkpoints_in(run), name=name) + imported_artifacts(run)


def checkpoints_in(run: Path) -> list[str]:
    """Names of a run's stages that have a checkpoint."""
    return sorted(card.parent.name for card in run.glob("*/card.json"))


def _source(checkpoint: ModelFile) -> Source:
    spec = checkpoint.card.spec
    return checkpoint.sha256, spec.height, spec.width


def _source_in(certificate: Mapping[str, Any]) -> Source:
    pictures = certificate["preprocessing"]
    return certificate["checkpoint_sha256"], pictures["height"], pictures["width"]


def _is_certified(file: ModelFile) -> bool | str | None:
    """Whether the certificate belongs to this exact file and passed; None if there is no certificate.

    A string says that it passed on too few images for a statement on accuracy.
    """
    if (state := file.certificate_state) in ("", "holds", FEW_IMAGES):
        return {"": None, "holds": True}.get(state, FEW_IMAGES)
    _LOG.warning("%s is scored, but its certificate %s; export it again", file.path, state)
    return False
