"""The score command: scores all model files of a finished run, or any given model files."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torchseg.atomic_file import save_text
from torchseg.checkpoint import CARD
from torchseg.cli.command import CHECK_FAILED, DONE
from torchseg.config import DataConfig, ScoreConfig
from torchseg.config.child_limits import within_limits
from torchseg.data import Samples
from torchseg.harness.report.explain import explanation_lines, measure_explanation
from torchseg.harness.report.report import write_report
from torchseg.harness.report.run_record import read_run
from torchseg.harness.runtimes.process import RuntimeProcessError
from torchseg.harness.runtimes.table import RUNTIMES
from torchseg.harness.scoring.artifact import Artifact, ScoreFailure, artifact_names
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.harness.scoring.score import score_artifacts
from torchseg.modelfile.kinds import CHECKPOINT_FILES
from torchseg.modelfile.model_file import ModelFile
from torchseg.pipeline.run.dataset import open_pictures
from torchseg.pipeline.run.folder import held_folder
from torchseg.pipeline.run.foreign_spec import warn_of_assumed_scaling
from torchseg.pipeline.run.image_spec import file_spec, recorded_file_spec
from torchseg.pipeline.run.installed import check_runtimes
from torchseg.pipeline.run.recorded_config import check_no_contradiction, recorded_config, run_of
from torchseg.pipeline.run.session import CONFIG, ENVIRONMENT, environment_record
from torchseg.pipeline.run.summary import answer_lines, comparison_lines, note_lines, table_lines
from torchseg.pipeline.stages.scoring import artifacts_in, check_split
from torchseg.spec import ImageSpec

_OUT = Path("runs/scores")
_log = logging.getLogger(__name__)


def score(config: ScoreConfig) -> int:
    """Measures every file, writes the tables and the report; returns 1 if a file could not be scored, otherwise 0."""
    if config.explain is not None:
        check_runtimes(config.runtime_list)
        print_explanation(config)
        return DONE
    scored = score_files(config)
    print("\n".join(table_lines(scored.folder / "scores.csv")))
    if config.against is not None:
        print("\n" + "\n".join(comparison_lines(scored.folder / "scores.csv")))
    for line in [*note_lines(scored.folder / "scores.csv"), *(f"FAILED: {each}" for each in scored.failures)]:
        print(line)
    print("\n" + "\n".join(_last_lines(config, scored)))
    return CHECK_FAILED if scored.failures else DONE


def _last_lines(config: ScoreConfig, scored: Scored) -> list[str]:
    """The file to take; for a comparison, or if nothing was exported, only where the report is."""
    run = read_run(scored.folder)
    if config.against or all(row["format"] == "torch" for row in run.scores):
        return [f"  report   {scored.page}"]
    return answer_lines(run, target=run.target, paths=scored.paths)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Result of `score_files`.

    Attributes:
        folder: of the tables.
        page: path of the report.
        failures: files that could not be scored, with reasons.
        paths: of all files, by their names in the tables.
    """

    folder: Path
    page: Path
    failures: Sequence[ScoreFailure]
    paths: Mapping[str, Path]


@within_limits
def score_files(config: ScoreConfig) -> Scored:
    """Measures every file and writes the tables and the report.

    Raises:
        ValueError: as for `plan_scores`.
    """
    check_runtimes(config.runtime_list)
    plan = plan_scores(config)
    timing = LatencyConfig(threads=config.thread_list[0])
    if config.jobs != "auto":
        timing = replace(timing, jobs=config.jobs)
    if config.against is not None:  # a comparison needs more rounds for a narrow interval
        timing = replace(timing, rounds=15, max_rounds=40, budget_s=30.0)
    with held_folder(plan.out):
        failures = score_artifacts(
            plan.artifacts, plan.samples, plan.spec, plan.out, config=timing, split=config.on_split
        )
        if not plan.is_run:  # a run already has a record of its environment
            save_text(plan.out / ENVIRONMENT, json.dumps(environment_record(config.cores), indent=2) + "\n")
        page = write_report(plan.out)
    paths = dict(zip(artifact_names(plan.artifacts, plan.out), (each.path for each in plan.artifacts), strict=True))
    return Scored(folder=plan.out, page=page, failures=failures, paths=paths)


@dataclass(frozen=True, kw_only=True)
class ScorePlan:
    """The files to score and the images to score them on.

    Attributes:
        artifacts: to be measured.
        samples: images with masks, at the spec's size.
        spec: of the images; a file that needs another one carries its own.
        out: folder for the tables and the report.
        is_run: whether `out` is the run's own folder.
    """

    artifacts: Sequence[Artifact]
    samples: Samples
    spec: ImageSpec
    out: Path
    is_run: bool


def plan_scores(config: ScoreConfig) -> ScorePlan:
    """Turns the flags into files and images.

    Raises:
        ValueError: if no file is named; if a file is missing, damaged, of an unknown kind, or not supported by any
            runtime asked for; if it is unknown which images to score it on; or if the folder for the tables has
            those of another split.
    """
    if not config.files:
        raise ValueError("no file is named; give a run's folder or model files, e.g. runs/scenes or my.onnx")
    found = [each for path in config.files for each in _artifacts(path)]
    if config.against is not None:
        baseline = _artifacts(config.against)
        if len(baseline) != 1:
            raise ValueError(f"--against {config.against} holds {len(baseline)} model files; name one of them")
        found = [*baseline, *(each for each in found if each.folder != baseline[0].folder)]
        found = [replace(each, baseline=baseline[0].path) for each in found]
    for each in found:
        each.file.check()
    artifacts = _in_runtimes(found, config)
    run = config.files[0] if len(config.files) == 1 and _is_run(config.files[0]) else None
    out = config.out or run or _OUT
    check_split(out, config.on_split)
    pictures = open_pictures(_data(config, artifacts))
    warn_of_assumed_scaling(artifacts, pictures.spec, config)
    return ScorePlan(
        artifacts=[_with_spec(each, pictures.spec, config) for each in artifacts],
        samples=pictures.train_resized if config.on_split == "train" else getattr(pictures, config.on_split),
        spec=pictures.spec,
        out=out,
        is_run=config.out is None and run is not None,
    )


def _with_spec(artifact: Artifact, spec: ImageSpec, config: ScoreConfig) -> Artifact:
    """The artifact with the spec of its own images, and, if another tool made it, with what the flags say of it."""
    if recorded_file_spec(artifact, spec) is not None:
        own = file_spec(artifact, spec)
    else:
        scaling = config.mean_and_std(spec.channels)
        own = file_spec(artifact, replace(spec, mean=scaling[0], std=scaling[1]) if scaling else spec)
        artifact = replace(artifact, options=config.run_options)
    return artifact if own == spec else replace(artifact, spec=own)


def single_artifact(path: Path) -> Artifact:
    """One model file, described by its run, if it is in one, and by its metadata.

    Raises:
        ValueError: if there is no such file, or it is not of a kind that can be run.
    """
    if not path.exists():
        raise ValueError(f"there is no file {path}; check the path")
    file = ModelFile(path)
    if file.kind == "torch":
        folder = path.parent if path.name in CHECKPOINT_FILES else path
        return Artifact(path=folder, stage=folder.resolve().name, format="torch", precision="fp32")
    known = [each for each in _run_files(path) if each.path.resolve() == path.resolve()]
    if known:
        return replace(known[0], path=path)
    return Artifact(path=path, stage=path.stem, format=file.kind, precision=file.precision, file=file)


def _artifacts(path: Path) -> list[Artifact]:
    """Every file of a run folder; for any other path, the file itself."""
    if not _is_run(path):
        return [single_artifact(path)]
    found = artifacts_in(path)
    if not found:
        raise ValueError(f"{path} holds no checkpoint and no exported file yet; finish the run first")
    return found


def _is_run(path: Path) -> bool:
    return (path / CONFIG).is_file() and not (path / CARD).is_file()


def _run_files(path: Path) -> list[Artifact]:
    """The run's artifacts of this file's name, if it is in a run; only these, because reading certificates is slow."""
    try:
        run = run_of(path)
    except ValueError:
        return []
    return artifacts_in(run, name=path.resolve().name)


def _in_runtimes(artifacts: Sequence[Artifact], config: ScoreConfig) -> list[Artifact]:
    """Each file once per requested runtime that supports its format, and once per number of threads."""
    counts = config.thread_list
    chosen = [
        replace(each, runtime=runtime, threads=threads)
        for each in artifacts
        for runtime in _runtimes_for(each, config.runtime_list)
        for threads in (counts if len(counts) > 1 else [None])
    ]
    if not chosen:
        raise ValueError(f"no file runs in {config.runtimes}; leave --runtimes out to take the one made for each kind")
    return chosen


def _runtimes_for(artifact: Artifact, asked: Sequence[str]) -> list[str | None]:
    return [name for name in asked if artifact.format in RUNTIMES[name].formats] if asked else [None]


def _data(config: ScoreConfig, artifacts: Sequence[Artifact]) -> DataConfig:
    """The data flags if given, otherwise those of the run that the files are in."""
    if config.data:
        names = {field.name for field in dataclasses.fields(DataConfig)}
        given = {name: getattr(config, name) for name in names}
        sizes = [size for size in (each.file.image_size for each in artifacts) if size]
        if sizes and not config.image_size:
            height, width = max(sizes, key=lambda size: size[0] * size[1])
            given["image_size"] = f"{height},{width}"
        return DataConfig(**given)
    for artifact in artifacts:
        try:
            recorded = recorded_config(run_of(artifact.path), root=config.root)
        except ValueError:
            continue
        check_no_contradiction(config, recorded, besides=("image_size",))
        return replace(recorded, image_size=config.image_size) if config.image_size else recorded
    raise ValueError(
        f"{artifacts[0].path} is not in a run folder, so it is not known which images to score it on: "
        "give --data NAME and --root FOLDER, e.g. --data folder --root my_pictures"
    )


@within_limits
def print_explanation(config: ScoreConfig) -> None:
    """Prints the breakdown of `config.explain`, once per requested runtime.

    Raises:
        ValueError: if the file cannot be opened or run.
    """
    assert config.explain is not None, "the command asks for it"
    artifact = single_artifact(config.explain)
    timing = LatencyConfig(threads=config.thread_list[0])
    asked: list[str | None] = [*config.runtime_list] or [None]
    for runtime in asked:
        try:
            found = measure_explanation(artifact.path, _shape(artifact.file, config), runtime=runtime, config=timing)
        except RuntimeProcessError as failure:
            raise ValueError(str(failure)) from failure
        print(f"{config.explain}\n" + "\n".join(explanation_lines(found)) + "\n")


def _shape(file: ModelFile, config: ScoreConfig) -> tuple[int, int, int, int]:
    """Input shape `(1, C, H, W)` that the file fixes; height and width from the flags if it takes any size."""
    height, width = config.size
    if file.kind == "torch":
        spec = file.card.spec
        return (1, spec.channels, *((height, width) if config.image_size else (spec.height, spec.width)))
    image = file.image
    if image is None:
        return (1, 3, height, width)  # the runtime will report what is wrong with the file
    return (1, image.channels or 3, image.height or height, image.width or width)
