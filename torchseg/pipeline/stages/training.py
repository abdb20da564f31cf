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

from torchseg.checkpoint import Card, load_checkpoint, read_card, save_checkpoint, sha256_of
from torchseg.config import LearningConfig
from torchseg.data import GENERATED, Batches, BatchPlan, RandomView
from torchseg.harness.csv_table import CRLF, write_rows
from torchseg.losses import MEDIAN_FREQUENCY, class_weights, parse_terms, segmentation_loss
from torchseg.models import build_model, check_size, count_parameters, multiply_adds
from torchseg.pipeline.run.dataset import REPORT, Pictures
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.spec import ImageSpec
from torchseg.train import (
    Callback,
    DistillationConfig,
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
TEACHER_STEPS = DefaultFor(scenes=320, photos=1680)
STUDENT_STEPS = DefaultFor(scenes=640, photos=1440)
VIEWS = DefaultFor(scenes=1, photos=0)  # of a distillation
CURVE_COLUMNS = ("epoch", "step", "learning_rate", "train_loss", "val_loss", "val_miou", "seconds")


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A network to train: its stage, the model and its arguments, and the number of epochs."""

    stage: str
    model: str
    epochs: int
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training begins: the network, the card of its checkpoint, and the callback that acts on its weights."""

    network: nn.Module
    card: Card
    callback: Callback = field(default_factory=NoCallback)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """One training of the pipeline.

    Attributes:
        stage: its name.
        fit_config: epochs, learning rate and precision.
        start: makes or loads the network; takes the number of steps per epoch.
        step: makes the training step.
        transfer: whether images without masks take part.
        inputs: what the result depends on besides the images, `fit_config` and the batch plan.
        finish: changes the trained network and its card before they are saved.
        seed_offset: added to the seed of batch order and random views, so that later trainings of one network see
            different batches.
        views: random views per image before they repeat; 0 for a new view every time (see `BatchPlan`). If it is not 0,
            `seed_offset` is ignored and every training sees the same batches.
    """

    stage: str
    fit_config: FitConfig
    start: Callable[[int], Start]
    step: Callable[[], Step]
    transfer: bool
    inputs: Mapping[str, Any]
    finish: Callable[[nn.Module, Card], Card] = lambda _, card: card
    seed_offset: int = 0
    views: int = 0


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
        return self._plan(transfer=False).steps_per_epoch

    def _plan(self, *, transfer: bool) -> BatchPlan:
        return BatchPlan(
            labelled=len(self.pictures.train),
            transfer=len(self.pictures.transfer) if transfer else 0,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
        )


@dataclass(frozen=True)
class Trainer(Lengths):
    """Makes the training stages of one run; they share images, configuration and processes.

    `on_epoch_end` is called after each epoch with a validation, with its row of the training curve. `teachers` is keyed
    by the hash of their weights, so that logits cached by a teacher serve every training of the run.
    """

    folder: RunFolder
    fabric: Fabric
    on_epoch_end: Callable[[Row], object] = lambda row: None
    teachers: dict[str, Teacher] = field(default_factory=dict)

    def with_labels(self, network: NetworkSpec) -> Stage:
        """The stage that trains a network with the masks alone."""
        return self.stage(self._from_scratch(network, self.label_step, transfer=False))

    def with_teacher(self, network: NetworkSpec, teacher: Path, how: DistillationConfig) -> Stage:
        """The stage that trains a network with the teacher's logits and the masks."""
        parents = {"teacher": sha256_of(teacher / "model.safetensors")}
        training_plan = self._from_scratch(
            network, lambda: self.distill_step(teacher, how), transfer=True, parents=parents
        )
        return self.stage(replace(training_plan, inputs={**training_plan.inputs, **asdict(how)}, views=how.views))

    def fit_config(self, epochs: int, *, share: float = 1.0) -> FitConfig:
        """The fit config for this many epochs; `share` multiplies the learning rate of the flags."""
        rate = share * self.config.learning_rate
        parts = self.config.micro_batches
        return FitConfig(
            epochs=epochs,
            learning_rate=rate,
            schedule=self.config.schedule,
            precision=choose_precision(self.config.training_precision, self.fabric.device),
            micro_batches=FitConfig.micro_batches if parts == "auto" else parts,
        )

    def label_step(self) -> Step:
        """The training step with masks alone."""
        return label_step(ignore_index=self.pictures.spec.ignore_index, loss=self.loss)

    def distill_step(self, teacher: Path, how: DistillationConfig) -> Step:
        """The training step with a teacher, loaded from its checkpoint, and masks."""
        key = sha256_of(teacher / "model.safetensors")
        if key not in self.teachers:
            network, _ = load_checkpoint(teacher)
            self.teachers[key] = Teacher(network.to(self.fabric.device), caches_logits=how.views > 0)
        return distill_step(self.teachers[key], how, ignore_index=self.pictures.spec.ignore_index, loss=self.loss)

    def stage(self, training_plan: TrainingPlan) -> Stage:
        """The stage that runs a training and writes weights, card and curves to `STAGE/`."""
        plan = replace(self._plan(transfer=training_plan.transfer), views=training_plan.views)
        if not training_plan.views:
            plan = replace(plan, seed=plan.seed + training_plan.seed_offset)
        inputs = (
            {"stage": training_plan.stage}
            | asdict(training_plan.fit_config)
            | asdict(plan)
            | dict(training_plan.inputs)
        )
        inputs |= {"data": self.pictures.fingerprint, "spec": self.pictures.spec.to_dict()}
        inputs |= {"loss": self.config.loss, "class_weights": self.config.class_weights}

        def run(work: Path) -> None:
            start = training_plan.start(plan.steps_per_epoch)
            task = Task(
                name=training_plan.stage,
                batches=self._batches(plan),
                validation=self.pictures.validation,
                spec=self.pictures.spec,
                callback=start.callback,
                on_epoch_end=self.on_epoch_end,
            )
            progress = fit(
                start.network, task, training_plan.step(), training_plan.fit_config, fabric=self.fabric, folder=work
            )
            if self.fabric.is_global_zero:
                card = training_plan.finish(start.network, start.card)
                _save(start.network, card, progress, work / training_plan.stage)
                discard_progress(work)

        outputs = [
            f"{training_plan.stage}/{name}" for name in ("model.safetensors", "card.json", "curves.csv", "tensorboard")
        ]
        return Stage(name=training_plan.stage, inputs=inputs, outputs=outputs, run=run)

    def _from_scratch(
        self,
        network: NetworkSpec,
        step: Callable[[], Step],
        *,
        transfer: bool,
        parents: Mapping[str, str] | None = None,
    ) -> TrainingPlan:
        spec = self.pictures.spec
        card = Card(
            builder=network.model,
            arguments=network.arguments,
            spec=spec,
            stage=network.stage,
            parents=parents or {},
        )
        return TrainingPlan(
            stage=network.stage,
            fit_config=self.fit_config(network.epochs),
            start=lambda _: Start(
                network=build_model(network.model, network.arguments, spec, seed=self.config.seed), card=card
            ),
            step=step,
            transfer=transfer,
            inputs=asdict(network) | {"parents": parents or {}},
        )

    def _batches(self, plan: BatchPlan) -> Batches:
        return Batches(
            self.pictures.train,
            self.pictures.transfer,
            view=self._view,
            plan=plan,
            workers=self.config.workers,
            rank=self.fabric.global_rank,
            processes=self.fabric.world_size,
        )

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
        return RandomView(height=self.pictures.spec.height, width=self.pictures.spec.width)


def check_network(name: str, spec: ImageSpec, *, arguments: Mapping[str, Any]) -> None:
    """Checks, before anything is written, that a network exists and accepts images of this size.

    Raises:
        ValueError: naming the valid choices.
    """
    network = build_model(name, arguments, spec)
    check_size(spec.height, spec.width, stride=getattr(network, "stride", 1))


def check_loss(config: LearningConfig, spec: ImageSpec) -> None:
    """Checks, before anything is written, that the loss and the class weights exist and fit the data.

    Raises:
        ValueError: naming the valid choices.
    """
    parse_terms(config.loss)
    class_weights(config.class_weights, spec.classes, frequencies=dict.fromkeys(spec.classes, 1.0))


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
        raise ValueError(f"teacher {checkpoint} scales pictures in another way than this run; train it again")

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
