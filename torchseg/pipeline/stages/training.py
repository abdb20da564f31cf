"""Training stages: a teacher or any other network with labels, or a student with its teacher."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from lightning_fabric import Fabric
from torch import nn

from torchseg.checkpoint import WEIGHTS, Card, load_checkpoint, read_card, save_checkpoint, sha256_of
from torchseg.config import LearningConfig
from torchseg.data import GENERATED, Batches, BatchPlan, Distortion, RandomView, Samples, UnmaskedSamples
from torchseg.distillation import DistillationConfig
from torchseg.harness.csv_table import CRLF, write_rows
from torchseg.losses import MEDIAN_FREQUENCY, SOFT_LOSSES, class_weights, parse_terms, segmentation_loss
from torchseg.models import build_model, check_size, count_parameters, multiply_adds
from torchseg.pipeline.run.dataset import REPORT, Pictures
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.spec import ImageSpec, nearest
from torchseg.train import (
    SCHEDULES,
    Callback,
    FitConfig,
    Loss,
    NoCallback,
    Progress,
    Row,
    Step,
    Task,
    Teacher,
    choose_precision,
    discard_progress,
    distill_step,
    fit,
    label_step,
)


class DefaultFor(NamedTuple):
    """A default that depends on the data: generated scenes must finish in minutes, photos may take longer."""

    scenes: int
    photos: int

    def of(self, data: str) -> int:
        """The default for the data set of this name."""
        return self.scenes if data == GENERATED else self.photos


# Optimizer steps if the user gives no epochs. The lengths for photos are those behind the README's results and were not
# tuned (docs/explanation/distillation.md).
TEACHER_STEPS = DefaultFor(scenes=640, photos=1680)
STUDENT_STEPS = DefaultFor(scenes=640, photos=1440)
VIEWS = DefaultFor(scenes=2, photos=0)  # of a distillation
CURVE_COLUMNS = ("epoch", "step", "learning_rate", "train_loss", "val_loss", "val_miou", "seconds")


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A network to train.

    Attributes:
        stage: of the training.
        model: name of the builder.
        epochs: passes over the labelled images.
        arguments: of the builder.
        learning_rate: peak learning rate. Default: that of the flags.
        schedule: learning rate schedule. Default: that of the flags.
    """

    stage: str
    model: str
    epochs: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float | None = None
    schedule: str = ""


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training begins: the network, the card of its checkpoint, and the callback that acts on its weights."""

    network: nn.Module
    card: Card
    callback: Callback = field(default_factory=NoCallback)


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """What a training learns from: masks alone, or a teacher too.

    Attributes:
        step: makes the training step.
        teacher: makes the teacher, or returns None.
        transfer_ratio: images without masks per labelled image.
        views: random views, per image that the teacher is asked about, before they repeat; 0 for a new view every time
            (see `BatchPlan`).
        distort: whether the student sees the images without masks distorted.
        inputs: what the result depends on besides the images.
    """

    step: Callable[[], Step]
    teacher: Callable[[], Teacher | None] = lambda: None
    transfer_ratio: float = 0.0
    views: int = 0
    distort: bool = False
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """One training of the pipeline.

    Attributes:
        stage: its name.
        fit_config: epochs, learning rate and precision.
        start: makes or loads the network; takes the number of steps per epoch.
        supervision: what it learns from.
        inputs: what the result depends on besides the images, `fit_config`, `supervision` and the batch plan.
        finish: changes the trained network and its card before they are saved.
        seed_offset: added to the seed of batch order and random views, so that later trainings of one network see
            different batches; ignored if views repeat, so that cached logits serve every training.
    """

    stage: str
    fit_config: FitConfig
    start: Callable[[int], Start]
    supervision: Supervision
    inputs: Mapping[str, Any]
    finish: Callable[[nn.Module, Card], Card] = lambda _, card: card
    seed_offset: int = 0


@dataclass(frozen=True)
class Lengths:
    """How long the trainings of one run are; known before its folder exists."""

    config: LearningConfig
    pictures: Pictures

    def epochs(self, wanted: int, *, steps: DefaultFor) -> int:
        """The epochs asked for; for 0, as many as make about `steps` optimizer steps."""
        return wanted or max(1, round(steps.of(self.config.data) / self.steps_per_epoch))

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the labelled images."""
        return self._plan().steps_per_epoch

    def _plan(self, *, transfer_ratio: float = 0.0, views: int = 0) -> BatchPlan:
        return BatchPlan(
            labelled=len(self.pictures.train),
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            transfer=(len(self.pictures.transfer) or len(self.pictures.train)) if transfer_ratio else 0,
            transfer_batch=self._transfer_batch(transfer_ratio),
            views=views,
        )

    def _transfer_batch(self, ratio: float) -> int:
        """Images without masks per step."""
        return max(1, round(ratio * self.config.batch_size)) if ratio else 0


@dataclass(frozen=True)
class Trainer(Lengths):
    """Makes the training stages of one run; they share images, configuration and processes.

    `on_epoch_end` is called after each epoch with a validation, with its row of the training curve. `teachers` is keyed
    by the hash of their weights and whether they cache logits; those then serve every training of the run.
    """

    folder: RunFolder
    fabric: Fabric
    on_epoch_end: Callable[[Row], object] = lambda row: None
    teachers: dict[tuple[str, bool], Teacher] = field(default_factory=dict)

    def with_labels(self, network: NetworkSpec) -> Stage:
        """The stage that trains a network with the masks alone."""
        return self.stage(self._from_scratch(network, self.labels()))

    def with_teacher(self, network: NetworkSpec, supervision: Supervision) -> Stage:
        """The stage that trains a network with a teacher's logits and the masks."""
        return self.stage(self._from_scratch(network, supervision))

    def labels(self) -> Supervision:
        """Learning from the masks alone."""
        return Supervision(step=lambda: label_step(ignore_index=self.pictures.spec.ignore_index, loss=self.loss))

    def distillation(self, teacher: Path, how: DistillationConfig, *, views: int) -> Supervision:
        """Learning from the masks, and from a teacher that is loaded from its checkpoint.

        Args:
            teacher: folder of the checkpoint.
            how: the distillation loss.
            views: see `Supervision`.
        """
        key = sha256_of(teacher / WEIGHTS)
        extra = self._transfer_batch(how.transfer_ratio)
        share = extra / (extra + self.config.batch_size)

        def load() -> Teacher:
            known = key, views > 0
            if known not in self.teachers:
                network, _ = load_checkpoint(teacher)
                precision = choose_precision(self.config.training_precision, self.fabric.device)
                self.teachers[known] = Teacher(
                    network.to(self.fabric.device), precision=precision, caches_logits=views > 0
                )
            return self.teachers[known]

        def step() -> Step:
            ignored = self.pictures.spec.ignore_index
            return distill_step(how, ignore_index=ignored, transfer_share=share, loss=self.loss)

        inputs = {"teacher": key, **asdict(how)}
        return Supervision(
            step=step, teacher=load, transfer_ratio=how.transfer_ratio, views=views, distort=how.distort, inputs=inputs
        )

    def fit_config(self, epochs: int, *, learning_rate: float | None = None, schedule: str = "") -> FitConfig:
        """The fit config for this many epochs; the default learning rate and schedule are those of the flags."""
        config, parts = self.config, self.config.micro_batches
        return FitConfig(
            epochs=epochs,
            learning_rate=learning_rate or config.rate,
            schedule=schedule or config.schedule,
            precision=choose_precision(config.training_precision, self.fabric.device),
            micro_batches=FitConfig.micro_batches if parts == "auto" else parts,
        )

    def stage(self, training_plan: TrainingPlan) -> Stage:
        """The stage that runs a training and writes weights, card and curves to `STAGE/`."""
        supervision = training_plan.supervision
        plan = self._plan(transfer_ratio=supervision.transfer_ratio, views=supervision.views)
        if not plan.views:
            plan = replace(plan, seed=plan.seed + training_plan.seed_offset)
        inputs = {"stage": training_plan.stage, "supervision": dict(supervision.inputs)}
        inputs |= asdict(training_plan.fit_config) | asdict(plan) | dict(training_plan.inputs)
        inputs |= {"data": self.pictures.fingerprint, "spec": self.pictures.spec.to_dict()}
        inputs |= {"loss": self.config.loss, "class_weights": self.config.class_weights}

        def run(work: Path) -> None:
            start = training_plan.start(plan.steps_per_epoch)
            task = Task(
                name=training_plan.stage,
                batches=self._batches(plan, distort=supervision.distort),
                validation=self.pictures.validation,
                spec=self.pictures.spec,
                teacher=supervision.teacher(),
                callback=start.callback,
                on_epoch_end=self.on_epoch_end,
            )
            progress = fit(
                start.network, task, supervision.step(), training_plan.fit_config, fabric=self.fabric, folder=work
            )
            if self.fabric.is_global_zero:
                card = training_plan.finish(start.network, start.card)
                _save(start.network, card, progress, work / training_plan.stage)
                discard_progress(work)

        outputs = [
            f"{training_plan.stage}/{name}" for name in ("model.safetensors", "card.json", "curves.csv", "tensorboard")
        ]
        return Stage(name=training_plan.stage, inputs=inputs, outputs=outputs, run=run)

    def _from_scratch(self, network: NetworkSpec, supervision: Supervision) -> TrainingPlan:
        spec, taught = self.pictures.spec, supervision.inputs.get("teacher")
        parents = {"teacher": taught} if taught else {}
        card = Card(builder=network.model, arguments=network.arguments, spec=spec, stage=network.stage, parents=parents)
        fit_config = self.fit_config(network.epochs, learning_rate=network.learning_rate, schedule=network.schedule)
        return TrainingPlan(
            stage=network.stage,
            fit_config=replace(fit_config, ema=self.config.ema),
            start=lambda _: Start(
                network=build_model(network.model, network.arguments, spec, seed=self.config.seed), card=card
            ),
            supervision=supervision,
            inputs={"model": network.model, "arguments": dict(network.arguments)},
        )

    def _batches(self, plan: BatchPlan, *, distort: bool) -> Batches:
        return Batches(
            self.pictures.train,
            self._transfer,
            view=self._view,
            plan=plan,
            distort=Distortion() if distort else None,
            workers=self.config.workers,
            rank=self.fabric.global_rank,
            processes=self.fabric.world_size,
        )

    @property
    def _transfer(self) -> Samples:
        """Images without masks; of data that has none, the labelled images as if they had no masks."""
        if len(self.pictures.transfer):
            return self.pictures.transfer
        return UnmaskedSamples(self.pictures.train, ignore_index=self.pictures.spec.ignore_index)

    @cached_property
    def loss(self) -> Loss:
        """The segmentation loss on masks; class weights by frequency use the report of the `data` stage."""
        seen: dict[str, float] = {}
        if self.config.class_weights == MEDIAN_FREQUENCY:
            seen = json.loads((self.folder.path / REPORT).read_text(encoding="utf-8"))["train"]["class_frequencies"]
        weights = class_weights(self.config.class_weights, self.pictures.spec.classes, frequencies=seen)
        return partial(segmentation_loss, terms=parse_terms(self.config.loss), class_weights=weights)

    @cached_property
    def _view(self) -> RandomView:
        pictures = self.pictures
        return RandomView(height=pictures.spec.height, width=pictures.spec.width, upright=pictures.upright)


def check_network(name: str, spec: ImageSpec, *, arguments: Mapping[str, Any]) -> None:
    """Checks, before anything is written, that a network exists and accepts images of this size.

    Raises:
        ValueError: naming the valid choices.
    """
    network = build_model(name, arguments, spec)
    check_size(spec.height, spec.width, stride=getattr(network, "stride", 1))


def check_training(config: LearningConfig, spec: ImageSpec) -> None:
    """Checks, before anything is written, that losses, class weights and schedules exist and fit the data.

    Raises:
        ValueError: naming the valid choices.
    """
    parse_terms(config.loss)
    class_weights(config.class_weights, spec.classes, frequencies=dict.fromkeys(spec.classes, 1.0))
    if isinstance(config, DistillationConfig):
        parse_terms(config.soft_loss, known=SOFT_LOSSES, flag="soft_loss")
    schedules = {"schedule": config.schedule}
    if theirs := getattr(config, "teacher_schedule", ""):
        schedules["teacher_schedule"] = theirs
    for flag, chosen in schedules.items():
        if chosen not in SCHEDULES:
            raise ValueError(f"{flag} is '{chosen}'{nearest(chosen, SCHEDULES)}; choose from {', '.join(SCHEDULES)}")


def given_teacher(checkpoint: Path, spec: ImageSpec) -> Stage:
    """The stage that copies a trained teacher into the run.

    Raises:
        ValueError: if it is not a checkpoint, or was trained for other classes or another normalisation.
    """
    card = read_card(checkpoint)
    theirs = card.spec
    if theirs.classes != spec.classes:
        raise ValueError(
            f"teacher {checkpoint} knows the classes {', '.join(theirs.classes)}, but the data has "
            f"{', '.join(spec.classes)}; train a teacher on this data or choose the data that it knows"
        )
    if (theirs.channels, theirs.mean, theirs.std) != (spec.channels, spec.mean, spec.std):
        raise ValueError(f"teacher {checkpoint} scales images in another way than this run; train it again")

    return copied(checkpoint, "teacher", spec)


def copied(checkpoint: Path, stage: str, spec: ImageSpec) -> Stage:
    """The stage that copies a trained network into the run under the name `stage`, for images of this spec."""

    def run(work: Path) -> None:
        network, card = load_checkpoint(checkpoint)
        save_checkpoint(network, replace(card, stage=stage, spec=spec), work / stage)

    inputs = {"weights": sha256_of(checkpoint / "model.safetensors"), "card": sha256_of(checkpoint / "card.json")}
    outputs = [f"{stage}/model.safetensors", f"{stage}/card.json"]
    return Stage(name=stage, inputs={**inputs, "spec": spec.to_dict()}, outputs=outputs, run=run)


def _save(model: nn.Module, card: Card, progress: Progress, folder: Path) -> None:
    metrics = {
        "val_miou": progress.best_miou,
        "parameters": count_parameters(model),
        "multiply_adds": multiply_adds(model, card.spec),
    }
    save_checkpoint(model, replace(card, metrics=metrics), folder)
    # As text, so that a loss that is not a number is written as `nan` and not as an empty cell.
    curve = ({name: str(value) for name, value in row.items()} for row in progress.curve)
    write_rows(folder / "curves.csv", CURVE_COLUMNS, curve, line_end=CRLF)
    _write_events(progress, folder)


def _write_events(progress: Progress, folder: Path) -> None:
    """Writes the same curves for TensorBoard."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(logdir=str(folder / "tensorboard")) as writer:
        for row in progress.curve:
            for name in CURVE_COLUMNS[2:]:
                if name in row:
                    writer.add_scalar(name, row[name], int(row["step"]))
