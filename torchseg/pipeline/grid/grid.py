"""A grid of trainings and their files: trained in parallel, measured one at a time, and summarised in four tables."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import yaml

from torchseg.atomic_file import save_text
from torchseg.checkpoint import Card
from torchseg.config import GridConfig
from torchseg.console import STDOUT
from torchseg.models import build_model, multiply_adds, parse_arguments
from torchseg.pipeline.export.trial import planned, trial_stage
from torchseg.pipeline.grid.child import BEGIN
from torchseg.pipeline.grid.effects import Effect
from torchseg.pipeline.grid.figures import save_effects, save_view
from torchseg.pipeline.grid.jobs import last_line
from torchseg.pipeline.grid.per_image import picked_sample
from torchseg.pipeline.grid.plan import GridPlan, Training, data_flags, expand
from torchseg.pipeline.grid.recipe import read_recipe
from torchseg.pipeline.grid.scorer import Scorer
from torchseg.pipeline.grid.tables import RESERVED, GridTables
from torchseg.pipeline.grid.trainer import Launch, TrainingRunner
from torchseg.pipeline.run.dataset import Pictures, check_disjoint, open_pictures
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.run.installed import check_formats
from torchseg.pipeline.run.session import ENVIRONMENT, environment_record
from torchseg.pipeline.stages.training import check_network, check_training
from torchseg.plural import counted
from torchseg.progress_bar import duration

_LOG = logging.getLogger(__name__)

Failures = dict[tuple[str, str], str]  # reason, by names of training and file

_BETWEEN_S = 20.0


@dataclass(frozen=True, kw_only=True)
class GridResult:
    """Result of a grid.

    Attributes:
        folder: of the tables.
        factors: levels by factor.
        effects: what each level changes.
        figures: those that could be drawn.
        failed: whether a training, an export or a measurement failed, which the same command tries again.
        seconds: taken until everything was measured.
    """

    folder: Path
    factors: Mapping[str, Sequence[str]]
    effects: Sequence[Effect]
    figures: Sequence[Path]
    failed: bool
    seconds: float


def run_grid(config: GridConfig, launch: Launch) -> GridResult:
    """Trains, exports and measures what is missing, and writes tables and figures.

    Args:
        config: of the grid.
        launch: runs the commands that train and export.
    """
    started = time.monotonic()
    plan = expand(read_recipe(config.recipe, config.set), seed=config.seed, root=config.root)
    pictures = _checked_pictures(plan)
    folder = RunFolder(config.run)
    with folder.held():
        if config.fresh:
            folder.forget()
        maker = TrainingRunner(
            plan=plan,
            folder=folder,
            fingerprints={name: each.fingerprint for name, each in pictures.items()},
            launch=launch,
            threads=config.threads_each,
        )
        _write_record(config, plan, folder)
        for trial in _trials(plan, pictures):
            folder.do(trial)
        failures = make_trainings(maker, pictures, jobs=config.jobs)
        failures |= _score(Scorer(maker=maker, pictures=pictures, measure=plan.measure), failures)
        return _conclude(plan, maker, pictures, failures, seconds=time.monotonic() - started)


def _checked_pictures(plan: GridPlan) -> dict[str, Pictures]:
    """The images of each training, by its name; raises, before anything is written, for a plan that cannot work."""
    for factor in plan.factors:
        if factor in RESERVED:
            raise ValueError(f"a factor is called {factor}, which is a column of the tables; rename it")
    check_formats(cell.file.rpartition(".")[2] for cell in plan.cells)
    opened: dict[tuple[object, ...], Pictures] = {}
    found = {}
    for training in plan.trainings:
        key = data_flags(training.config)
        if key not in opened:
            opened[key] = open_pictures(training.config)
            check_disjoint(opened[key])
            plan.measure.class_indices(opened[key].spec.classes)
            picked_sample(opened[key].test, plan.measure.view)
        found[training.name] = opened[key]
        arguments = parse_arguments(training.config.model_arguments)
        try:
            check_network(training.config.model, opened[key].spec, arguments=arguments)
            check_training(training.config, opened[key].spec)
        except ValueError as error:
            raise ValueError(f"{training.name}: {error}") from error
    return found


def _trials(plan: GridPlan, pictures: Mapping[str, Pictures]) -> Iterator[Stage]:
    """Tries to export each network once, however many trainings it has, before any of them begins."""
    trials: dict[str, tuple[Card, set[str]]] = {}
    for training in plan.trainings:
        spec, config = pictures[training.name].spec, training.config
        card = planned(config.model, config.model_arguments, spec, stage=training.name)
        key = json.dumps([card.builder, dict(card.arguments), spec.to_dict()], sort_keys=True)
        formats = trials.setdefault(key, (card, set()))[1]
        formats.update(file.rpartition(".")[2] for file in plan.files(training) if file != "torch")
    for card, formats in trials.values():
        yield from trial_stage(card, formats)


def _score(scorer: Scorer, failures: Failures) -> Failures:
    """Measures one training after another, so that nothing else runs on the machine during timing."""
    trainings = scorer.maker.plan.trainings
    whole = [
        each for each in trainings if any((each.name, file) not in failures for file in scorer.maker.plan.files(each))
    ]
    left = [each for each in whole if not scorer.is_done(each)]
    found, begin = Failures(), time.monotonic()
    for number, training in enumerate(left):
        spent = time.monotonic() - begin
        ending = f", about {duration(spent / number * (len(left) - number))} left" if number else ""
        STDOUT.info(f"measuring {number + 1} of {len(left)}: {training.name}{ending}")
        try:
            reasons = scorer.score(training)
        except Exception as error:  # only this training's files count as failed
            _LOG.exception("measuring failed")
            reason = f"measuring: {type(error).__name__}: {error}"
            reasons = dict.fromkeys(scorer.maker.plan.files(training), reason)
        found |= {(training.name, file): reason for file, reason in reasons.items()}
    return found


def _conclude(
    plan: GridPlan, maker: TrainingRunner, pictures: Mapping[str, Pictures], failures: Failures, *, seconds: float
) -> GridResult:
    """Writes tables and figures."""
    out, first = maker.folder.path, pictures[plan.trainings[0].name]
    specs = {name: each.spec for name, each in pictures.items()}
    chosen = {
        name: [spec.classes[at] for at in plan.measure.class_indices(spec.classes)] for name, spec in specs.items()
    }
    effects = GridTables(plan=plan, maker=maker, classes=chosen, failures=failures).write()
    drawn = [
        save_effects(effects, plan.factors, out),
        save_view(plan.cells, picked_sample(first.test, plan.measure.view), first.spec.classes, maker),
    ]
    return GridResult(
        folder=out,
        factors=plan.factors,
        effects=effects,
        figures=[path for path in drawn if path],
        failed=bool(failures),
        seconds=seconds,
    )


def _write_record(config: GridConfig, plan: GridPlan, folder: RunFolder) -> None:
    """Writes the flags of every training and the environment that the grid ran in."""
    trainings = {each.name: dict(each.flags) for each in plan.trainings}
    text = yaml.safe_dump({"recipe": str(config.recipe), "set": config.set, "trainings": trainings}, sort_keys=False)
    save_text(folder.path / "grid.yaml", text)
    save_text(folder.path / ENVIRONMENT, json.dumps(environment_record(config.cores), indent=2) + "\n")


def make_trainings(maker: TrainingRunner, pictures: Mapping[str, Pictures], *, jobs: int) -> Failures:
    """Trains and exports what is missing, the longest training first so that all jobs finish at about the same time.

    Args:
        maker: of the grid.
        pictures: the data set of each training, by the training's name.
        jobs: number of trainings that run at the same time.

    Returns:
        The reason for each file that could not be made; empty if all went well.
    """
    left = [each for each in maker.plan.trainings if not maker.is_done(each)]
    before = len(maker.plan.trainings) - len(left)
    cells, files = len(maker.plan.cells), f", {before} made before" if before else ""
    each = f"{counted(jobs, 'job')} of {counted(maker.threads, 'thread')}"
    STDOUT.info(f"{counted(cells, 'cell')} of {counted(len(maker.plan.trainings), 'training')}{files}; {each}")
    work = {training.name: _work(training, pictures[training.name]) for training in left}
    progress, failures = GridProgress(work), Failures()
    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        order = sorted(left, key=lambda training: -work[training.name])
        running: dict[Future[dict[str, str]], Training] = {pool.submit(maker.make, each): each for each in order}
        while running:
            done, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in done:
                training = running.pop(future)
                failed = _failures(future, maker.plan.files(training))
                failures |= {(training.name, file): reason for file, reason in failed.items()}
                progress.end(training.name, failed=len(failed))
            progress.beat({each.name: maker.log(each) for future, each in running.items() if future.running()})
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return failures


def _failures(future: Future[dict[str, str]], files: Sequence[str]) -> dict[str, str]:
    """The reason for each file that a training could not make; an exception counts for all files of this training."""
    try:
        return future.result()
    except Exception as error:
        _LOG.exception("a training failed")
        return dict.fromkeys(files, f"training: {type(error).__name__}: {error}")


def _work(training: Training, pictures: Pictures) -> float:
    """Relative duration of a training: epochs times images times multiply-adds per image."""
    config = training.config
    network = build_model(config.model, parse_arguments(config.model_arguments), pictures.spec)
    return float(max(1, config.epochs) * len(pictures.train) * multiply_adds(network, pictures.spec))


class GridProgress:
    """Tells the user which trainings start and end, and how much time is left.

    Args:
        work: expected duration of each remaining training, by its name; in any unit.
        clock: returns the time in seconds.
        print_line: shows a line.
    """

    def __init__(
        self,
        work: Mapping[str, float],
        *,
        clock: Callable[[], float] = time.monotonic,
        print_line: Callable[[str], None] = STDOUT.info,
    ) -> None:
        self._work, self._clock, self._print = work, clock, print_line
        self._begin = self._last_printed = clock()
        self._done: list[str] = []
        self._lines: dict[str, str] = {}

    def end(self, name: str, *, failed: int) -> None:
        """Records that a training has ended; `failed` is the number of files that could not be made."""
        self._done.append(name)
        done = sum(self._work[each] for each in self._done)
        left = (sum(self._work.values()) - done) / done * (self._clock() - self._begin) if done else 0.0
        ending = f", about {duration(left)} left" if len(self._done) < len(self._work) else ""
        trouble = f" ({failed} of its files FAILED)" if failed else ""
        self._last_printed = self._clock()
        self._print(f"trained and exported {len(self._done)} of {len(self._work)}: {name}{trouble}{ending}")

    def beat(self, logs: Mapping[str, Path]) -> None:
        """At most every 20 s, prints the last line of each running training's log if it has changed."""
        if self._clock() - self._last_printed < _BETWEEN_S:
            return
        self._last_printed = self._clock()
        for name, log in logs.items():
            line = last_line(log)
            if line.startswith(BEGIN):
                line = f"{line.removeprefix(BEGIN).split()[0]} has begun"
            if line and self._lines.get(name) != line:
                self._lines[name] = line
                self._print(f"  {name}: {line}")
