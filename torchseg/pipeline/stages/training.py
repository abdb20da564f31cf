"""Training stages: a teacher or any other network with labels, or a student with its teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import nn

from torchseg.checkpoint import WEIGHTS, Card, load_checkpoint, sha256_of
from torchseg.config import FromStartConfig, LearningConfig
from torchseg.config.distillation import DistillationConfig
from torchseg.data import Batches, BatchPlan, Distortion, RandomView, Samples, UnmaskedSamples
from torchseg.losses import MEDIAN_FREQUENCY, SOFT_LOSSES, class_weights, parse_terms, segmentation_loss
from torchseg.models import build_model, check_size, recorded
from torchseg.pipeline.run.dataset import REPORT, SplitReport, read_report
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.stages.lengths import Lengths
from torchseg.pipeline.stages.trained_checkpoint import save_trained
from torchseg.pipeline.stages.training_plan import NetworkSpec, Start, Supervision, TrainingPlan
from torchseg.spec import ImageSpec, nearest
from torchseg.train import (
    SCHEDULES,
    FitConfig,
    Loss,
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
from torchseg.train.features import FeatureStudent, FeatureTeacher


@dataclass(frozen=True)
class Trainer(Lengths):
    """Makes the training stages of one run; they share images, configuration and processes.

    `on_epoch_end` is called after each epoch with a validation, with its row of the training curve. `teachers` is keyed
    by the hash of their weights, whether they cache logits, and crop and flip of the views that these belong to; they
    then serve every training of the run.
    """

    folder: RunFolder
    fabric: Fabric
    on_epoch_end: Callable[[Row], object] = lambda row: None
    teachers: dict[tuple[str, bool, str, str], Teacher] = field(default_factory=dict)

    def from_start(self, network: NetworkSpec, supervision: Supervision | None = None) -> Stage:
        """The stage that builds a network and trains it, by default with the masks alone."""
        return self.stage(self._from_start(network, supervision or self.labels()))

    def untrained(self, network: NetworkSpec) -> nn.Module:
        """The network with the weights that its training starts from."""
        return build_model(network.model, network.arguments, self.pictures.spec, seed=self.config.seed)

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

        def load() -> Teacher:
            known = key, views > 0, self.config.crop, self.config.flip
            if known not in self.teachers:
                self.teachers[known] = self.teacher(load_checkpoint(teacher)[0], views=views)
            return self.teachers[known]

        inputs = {"teacher": key, **asdict(how)}
        if self._feature_weight:
            inputs["feature_weight"] = self._feature_weight
        return replace(self.taught_by(load, how, views=views), inputs=inputs)

    def taught_by(self, load: Callable[[], Teacher], how: DistillationConfig, *, views: int) -> Supervision:
        """Learning from the masks, and from the teacher that `load` returns; see `distillation`."""
        extra = self._transfer_batch(how.transfer_ratio)
        share = extra / (extra + self.config.batch_size)

        def step() -> Step:
            return distill_step(
                how,
                ignore_index=self.pictures.spec.ignore_index,
                transfer_share=share,
                loss=self.loss,
                num_classes=self.pictures.spec.num_classes,
                feature_weight=self._feature_weight,
            )

        def around(network: nn.Module) -> nn.Module:
            if not self._feature_weight:
                return network
            taught = load().network.network
            assert isinstance(taught, FeatureTeacher)
            return FeatureStudent(network, self._shape, channels=taught.channels, seed=self.config.seed)

        return Supervision(
            step=step,
            teacher=load,
            transfer_ratio=how.transfer_ratio,
            views=views,
            distort=how.distort,
            around=around,
        )

    def teacher(self, network: nn.Module, *, views: int) -> Teacher:
        """A teacher of this network, which caches its logits if views repeat."""
        precision = choose_precision(self.config.training_precision, self.fabric.device)
        answers = FeatureTeacher(network, self._shape) if self._feature_weight else network
        return Teacher(answers.to(self.fabric.device), precision=precision, caches_logits=views > 0)

    @property
    def _feature_weight(self) -> float:
        return getattr(self.config, "feature_weight", 0.0)

    def fit_config(self, epochs: int, *, learning_rate: float | None = None, schedule: str = "") -> FitConfig:
        """The fit config for this many epochs; the default learning rate and schedule are those of the flags."""
        config, parts = self.config, self.config.micro_batches
        return FitConfig(
            epochs=epochs,
            learning_rate=learning_rate or config.rate,
            optimizer=config.optimizer,
            weight_decay=config.weight_decay,
            schedule=schedule or config.schedule,
            precision=choose_precision(config.training_precision, self.fabric.device),
            micro_batches=FitConfig.micro_batches if parts == "auto" else parts,
        )

    def stage(self, training_plan: TrainingPlan) -> Stage:
        """The stage that runs a training and writes weights, card and curves to `STAGE/`."""
        supervision = training_plan.supervision
        plan = self.batch_plan(transfer_ratio=supervision.transfer_ratio, views=supervision.views)
        if not plan.views:
            plan = replace(plan, seed=plan.seed + training_plan.seed_offset)
        half_size_epochs = round(training_plan.progressive * training_plan.fit_config.epochs)
        plan = replace(plan, half_size_steps=half_size_epochs * plan.steps_per_epoch)
        inputs = {"stage": training_plan.stage, "supervision": dict(supervision.inputs)}
        inputs |= asdict(training_plan.fit_config) | asdict(plan) | dict(training_plan.inputs)
        inputs |= {"data": self.pictures.fingerprint, "spec": self.pictures.spec.to_dict()}
        inputs |= {"loss": self.config.loss, "class_weights": self.config.class_weights}
        view = {"crop": self.config.crop, "flip": self.config.flip}
        inputs |= {name: how for name, how in view.items() if how != "random"}  # runs before these flags resume

        def run(work: Path) -> None:
            start = training_plan.start(plan.steps_per_epoch)
            task = Task(
                name=training_plan.stage,
                batches=self.batches(plan, distort=supervision.distort),
                validation=self.pictures.validation,
                spec=self.pictures.spec,
                teacher=supervision.teacher(),
                callback=start.callback,
                on_epoch_end=self.on_epoch_end,
            )
            trained = start.network if start.trained is None else start.trained
            progress = fit(trained, task, supervision.step(), training_plan.fit_config, fabric=self.fabric, folder=work)
            if self.fabric.is_global_zero:
                card = training_plan.finish(start.network, start.card)
                save_trained(start.network, card, progress, work / training_plan.stage)
                discard_progress(work)

        outputs = [
            f"{training_plan.stage}/{name}" for name in ("model.safetensors", "card.json", "curves.csv", "tensorboard")
        ]
        return Stage(name=training_plan.stage, inputs=inputs, outputs=outputs, run=run)

    def _from_start(self, network: NetworkSpec, supervision: Supervision) -> TrainingPlan:
        assert isinstance(self.config, FromStartConfig)
        spec, taught = self.pictures.spec, supervision.inputs.get("teacher")
        parents = {"teacher": taught} if taught else {}
        builder = recorded(network.model)
        card = Card(**builder, arguments=network.arguments, spec=spec, stage=network.stage, parents=parents)
        fit_config = self.fit_config(network.epochs, learning_rate=network.learning_rate, schedule=network.schedule)

        def start(_: int) -> Start:
            model = self.untrained(network)
            return Start(network=model, card=card, trained=supervision.around(model))

        return TrainingPlan(
            stage=network.stage,
            fit_config=replace(fit_config, ema=self.config.ema),
            start=start,
            supervision=supervision,
            inputs={"model": network.model, "arguments": dict(network.arguments), **_code_hash(builder)},
            progressive=self.config.progressive,
        )

    def batches(self, plan: BatchPlan, *, distort: bool) -> Batches:
        """Batches of the run's images, as this plan selects them."""
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

    @property
    def _shape(self) -> tuple[int, int, int]:
        spec = self.pictures.spec
        return spec.channels, spec.height, spec.width

    @cached_property
    def loss(self) -> Loss:
        """The segmentation loss on masks; class weights by frequency use the report of the `data` stage."""
        median = self.config.class_weights == MEDIAN_FREQUENCY
        seen = self._counted.class_frequencies if median else {}
        weights = class_weights(self.config.class_weights, self.pictures.spec.classes, frequencies=seen)
        return partial(segmentation_loss, terms=parse_terms(self.config.loss), class_weights=weights)

    @cached_property
    def _view(self) -> RandomView:
        spec, shares = self.pictures.spec, None
        if self.config.crop == "rare":
            pixels = self._counted.class_pixels
            shares = [pixels[name] / max(1, sum(pixels.values())) for name in spec.classes]
        upright, flip = self.pictures.upright, self.config.flip == "random"
        return RandomView(height=spec.height, width=spec.width, upright=upright, flip=flip, class_shares=shares)

    @property
    def _counted(self) -> SplitReport:
        """What the `data` stage counted on the training part."""
        return read_report(self.folder.path, remedy=f"delete {REPORT} and run the same command again").train


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


def _code_hash(builder: Mapping[str, Any]) -> dict[str, str]:
    """The hash of a network's code, if it is in a code file: another code is another network."""
    return {"code": builder["code"]["sha256"]} if "code" in builder else {}
