from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from torchseg.checkpoint import Card, load_checkpoint, read_card, save_checkpoint, sha256_of
from torchseg.config import TrainConfig
from torchseg.config.distillation import DistillationConfig
from torchseg.harness.csv_table import read_table
from torchseg.models import build_model
from torchseg.pipeline.run.dataset import SPLITS
from torchseg.pipeline.stages import training
from torchseg.pipeline.stages.copied import copied, given_teacher
from torchseg.pipeline.stages.lengths import DefaultFor, Lengths
from torchseg.pipeline.stages.trained_checkpoint import CURVE_COLUMNS
from torchseg.pipeline.stages.training import check_network, check_training
from torchseg.pipeline.stages.training_plan import NetworkSpec, Start, TrainingPlan
from torchseg.spec import ImageSpec
from torchseg.train import Progress

ARGUMENTS = {"base_width": 2, "depth": 1}
REPORTED = {split: {} for split in SPLITS}
NETWORK = NetworkSpec(stage="student", model="small_unet", arguments=ARGUMENTS, epochs=2)


@pytest.fixture
def teacher(pictures, tmp_path):
    """A checkpoint of a teacher, in its folder."""
    return _checkpoint(tmp_path / "elsewhere", pictures.spec)


def _checkpoint(folder, spec, *, seed=1):
    card = Card(builder="small_unet", arguments=ARGUMENTS, spec=spec, stage="trained")
    save_checkpoint(build_model("small_unet", ARGUMENTS, spec, seed=seed), card, folder)
    return folder


def _plan(trainer, **changes):
    network = build_model("small_unet", ARGUMENTS, trainer.pictures.spec)
    card = Card(builder="small_unet", arguments=ARGUMENTS, spec=trainer.pictures.spec, stage="student")
    plan = TrainingPlan(
        stage="student",
        fit_config=trainer.fit_config(1),
        start=lambda _: Start(network=network, card=card),
        supervision=trainer.labels(),
        inputs={},
    )
    return replace(plan, **changes)


def test_a_default_depends_on_whether_the_pictures_are_generated():
    steps = DefaultFor(scenes=1, photos=2)
    assert (steps.of("scenes"), steps.of("camvid")) == (1, 2)


def test_epochs_are_those_asked_for_or_as_many_as_make_the_usual_steps(pictures):
    lengths = Lengths(TrainConfig(batch_size=4), pictures)
    assert lengths.steps_per_epoch == 2
    assert lengths.epochs(3, steps=DefaultFor(scenes=100, photos=0)) == 3
    assert lengths.epochs(0, steps=DefaultFor(scenes=100, photos=0)) == 50
    assert lengths.epochs(0, steps=DefaultFor(scenes=0, photos=100)) == 1
    assert (
        Lengths(TrainConfig(data="camvid", batch_size=4), pictures).epochs(0, steps=DefaultFor(scenes=0, photos=100))
        == 50
    )


def test_a_training_leaves_weights_card_and_curves_and_is_done_once(trainer):
    assert trainer.folder.do(trainer.from_start(NETWORK))
    assert not trainer.folder.do(trainer.from_start(NETWORK))
    folder = trainer.folder.path / "student"
    card = read_card(folder)
    assert (card.builder, card.stage, dict(card.arguments)) == ("small_unet", "student", ARGUMENTS)
    assert card.metrics["parameters"] == sum(each.numel() for each in load_checkpoint(folder)[0].parameters())
    rows = read_table(folder / "curves.csv")
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "2"), ("2", "4")]
    assert max(float(row["val_miou"]) for row in rows) == pytest.approx(card.metrics["val_miou"])
    assert list((folder / "tensorboard").iterdir())
    assert trainer.folder.do(trainer.from_start(replace(NETWORK, epochs=1)))


def test_curves_keep_their_bytes_and_show_a_loss_that_is_not_a_number(trainer, monkeypatch):
    first = {"epoch": 1, "step": 2, "learning_rate": 0.001, "train_loss": float("nan"), "seconds": 0.5}
    second = {"epoch": 2, "step": 4, "learning_rate": 1e-05, "train_loss": 0.25, "seconds": 1}
    curve = [first, second | {"val_loss": 2.0, "val_miou": 0.5}]
    monkeypatch.setattr(training, "fit", lambda *_, **__: Progress(best_miou=0.5, curve=curve))
    trainer.folder.do(trainer.stage(_plan(trainer)))
    written = (trainer.folder.path / "student/curves.csv").read_bytes()
    assert written.splitlines(keepends=True) == [
        ",".join(CURVE_COLUMNS).encode() + b"\r\n",
        b"1,2,0.001,nan,,,0.5\r\n",
        b"2,4,1e-05,0.25,2.0,0.5,1\r\n",
    ]


def test_a_later_training_of_a_network_sees_other_batches_unless_its_views_repeat(trainer):
    def seed(**changes):
        return trainer.stage(_plan(trainer, **changes)).inputs["seed"]

    repeated = replace(trainer.labels(), views=1)
    assert (seed(), seed(seed_offset=2), seed(seed_offset=2, supervision=repeated)) == (5, 7, 5)


def test_pictures_without_masks_take_part_only_with_a_teacher(trainer, teacher):
    labels = trainer.from_start(NETWORK).inputs
    assert (labels["transfer"], labels["transfer_batch"]) == (0, 0)
    learns_from = trainer.distillation(teacher, DistillationConfig(temperature=4.0), views=2)
    stage = trainer.from_start(NETWORK, learns_from)
    assert (stage.inputs["transfer"], stage.inputs["transfer_batch"]) == (4, 4)
    assert stage.inputs["supervision"]["teacher"] == sha256_of(teacher / "model.safetensors")
    assert (stage.inputs["supervision"]["temperature"], stage.inputs["views"]) == (4.0, 2)


def test_a_teacher_is_loaded_once_for_all_trainings(trainer, teacher, monkeypatch):
    loads = []
    monkeypatch.setattr(training, "load_checkpoint", lambda path: loads.append(path) or load_checkpoint(path))
    for _ in range(2):
        trainer.distillation(teacher, DistillationConfig(), views=0).teacher()
    assert loads == [teacher]


def test_a_training_can_have_its_own_learning_rate_and_schedule(trainer):
    assert trainer.fit_config(1).learning_rate == trainer.config.rate
    own = trainer.fit_config(1, learning_rate=0.25, schedule="stable")
    assert (own.learning_rate, own.schedule) == (0.25, "stable")


@pytest.mark.parametrize(
    ("name", "height", "message"),
    [("smal_unet", 16, r"did you mean 'small_unet'"), ("small_unet", 18, "both sides must divide by 4")],
)
def test_a_network_that_cannot_take_the_pictures_is_refused(name, height, message):
    spec = ImageSpec(height=height, width=16, classes=("a", "b"))
    with pytest.raises(ValueError, match=message):
        check_network(name, spec, arguments={"depth": 2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"loss": "dise"}, "did you mean 'dice'"), ({"class_weights": "1,2,3"}, "or 2 positive numbers")],
)
def test_a_loss_that_does_not_fit_the_data_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        check_training(TrainConfig(**changes), ImageSpec(height=16, width=16, classes=("a", "b")))


def test_weights_by_frequency_come_from_the_report_on_the_data(trainer):
    config = replace(trainer.config, class_weights="median_frequency")
    frequencies = dict.fromkeys(trainer.pictures.spec.classes, 0.1)
    frequencies[trainer.pictures.spec.classes[0]] = 0.6
    (trainer.folder.path / "data.json").write_text(json.dumps(REPORTED | {"train": {"class_frequencies": frequencies}}))
    weights = replace(trainer, config=config).loss.keywords["class_weights"]
    assert weights[0] < weights[1] == weights[2]


def _counted(trainer, **pixels):
    """The report of the data stage, with these pixels of the first classes and one of each other."""
    counts = dict.fromkeys(trainer.pictures.spec.classes, 1) | pixels
    (trainer.folder.path / "data.json").write_text(json.dumps(REPORTED | {"train": {"class_pixels": counts}}))


def test_crops_that_prefer_rare_classes_know_the_shares_from_the_report_on_the_data(trainer, monkeypatch):
    seen = {}
    monkeypatch.setattr(training, "RandomView", lambda **options: seen.update(options))
    _ = trainer._view
    assert seen["class_shares"] is None
    first, *others = trainer.pictures.spec.classes
    _counted(trainer, **{first: 100 - len(others)})
    _ = replace(trainer, config=replace(trainer.config, crop="rare"))._view
    assert seen["class_shares"] == [1 - len(others) / 100, *[0.01] * len(others)]
    assert (seen["height"], seen["upright"]) == (16, False)


def test_views_are_mirrored_unless_they_shall_not_be(trainer, monkeypatch):
    seen = {}
    monkeypatch.setattr(training, "RandomView", lambda **options: seen.update(options))
    _ = trainer._view
    assert seen["flip"] is True
    _ = replace(trainer, config=replace(trainer.config, flip="none"))._view
    assert seen["flip"] is False


@pytest.mark.parametrize(("flag", "other"), [("crop", "rare"), ("flip", "none")])
def test_a_training_with_other_views_is_another_training_and_asks_the_teacher_anew(flag, other, trainer, teacher):
    _counted(trainer)
    rare = replace(trainer, config=replace(trainer.config, **{flag: other}))
    usual = trainer.from_start(NETWORK)
    assert flag not in usual.inputs  # as stages were recorded before there was a choice
    assert rare.from_start(NETWORK).inputs == {**usual.inputs, flag: other}
    assert trainer.folder.do(usual)
    assert trainer.folder.do(rare.from_start(NETWORK))
    assert not trainer.folder.do(rare.from_start(NETWORK))
    answers = [each.distillation(teacher, DistillationConfig(), views=1).teacher() for each in (trainer, rare)]
    assert rare.teachers is trainer.teachers
    assert answers[0] is not answers[1]


def test_a_given_teacher_is_copied_with_the_pictures_of_this_run(trainer, teacher):
    larger = replace(trainer.pictures.spec, height=32)
    stage = given_teacher([teacher], larger)
    assert trainer.folder.do(stage)
    network, card = load_checkpoint(trainer.folder.path / "teacher")
    assert (card.stage, card.spec) == ("teacher", larger)
    assert all(map(torch.equal, network.parameters(), load_checkpoint(teacher)[0].parameters()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a", "b")}, r"knows the classes .*, but the data has a, b; train a teacher on this data"),
        ({"mean": (0.0, 0.0, 0.0)}, "scales images in another way than this run"),
    ],
)
def test_a_teacher_of_other_classes_or_another_scaling_is_refused(trainer, teacher, changes, message):
    with pytest.raises(ValueError, match=message):
        given_teacher([teacher], replace(trainer.pictures.spec, **changes))


def test_the_first_share_of_a_training_is_on_images_of_half_the_size(trainer, monkeypatch):
    spec = replace(trainer.pictures.spec, height=64, width=64)
    pictures = replace(trainer.pictures, spec=spec)
    config = replace(trainer.config, image_size="64", progressive=0.5)
    seen = []

    def fit(model, task, *_, **__):
        seen.extend(next(task.batches.epoch(number)).pictures.shape[2] for number in range(4))
        raise KeyboardInterrupt

    monkeypatch.setattr("torchseg.pipeline.stages.training.fit", fit)
    network = NetworkSpec(stage="student", model="small_unet", arguments=ARGUMENTS, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        trainer.folder.do(replace(trainer, config=config, pictures=pictures).from_start(network))
    assert seen == [32, 32, 64, 64]


def test_several_given_teachers_become_one_that_averages_their_probabilities(trainer, teacher, tmp_path):
    spec = trainer.pictures.spec
    other = _checkpoint(tmp_path / "other", spec, seed=2)
    stage = given_teacher([teacher, other], spec)
    assert trainer.folder.do(stage)
    network, card = load_checkpoint(trainer.folder.path / "teacher")
    assert (card.stage, card.spec) == ("teacher", spec)
    image = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answers = [load_checkpoint(folder)[0](image).softmax(dim=1) for folder in (teacher, other)]
        assert torch.allclose(network(image).softmax(dim=1), (answers[0] + answers[1]) / 2, atol=1e-6)


@pytest.mark.parametrize("change", [{"resized": True}, {"folded": True}])
def test_a_compressed_network_is_not_averaged_with_others(trainer, teacher, change, tmp_path):
    spec = trainer.pictures.spec
    other = _checkpoint(tmp_path / "other", spec)
    save_checkpoint(load_checkpoint(other)[0], replace(read_card(other), **change), other)
    with pytest.raises(ValueError, match="other is compressed or an ensemble itself, so it cannot be averaged"):
        given_teacher([teacher, other], spec)


def test_a_copy_is_made_again_when_the_original_changes(trainer, tmp_path):
    spec = trainer.pictures.spec
    before = copied(_checkpoint(tmp_path / "net", spec), "original", spec)
    save_checkpoint(build_model("small_unet", ARGUMENTS, spec, seed=2), read_card(tmp_path / "net"), tmp_path / "net")
    assert before.inputs["weights"] != copied(tmp_path / "net", "original", spec).inputs["weights"]


def test_recovery_follows_the_teacher_if_there_is_one(trainer, teacher):
    alone = trainer.labels()
    assert (alone.transfer_ratio, alone.views, dict(alone.inputs), alone.teacher()) == (0, 0, {}, None)
    taught = trainer.distillation(teacher, DistillationConfig(temperature=4.0), views=2)
    assert (taught.transfer_ratio, taught.views) == (1, 2)
    assert (taught.inputs["teacher"], taught.inputs["temperature"]) == (sha256_of(teacher / "model.safetensors"), 4.0)


def test_an_untrained_network_is_what_its_training_starts_from(trainer, monkeypatch):
    network = NetworkSpec(stage="student", model="small_unet", arguments={"base_width": 4, "depth": 1}, epochs=1)
    begun = []

    def look(model, *_, **options):
        begun.append(model)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit", look)
    with pytest.raises(KeyboardInterrupt):
        trainer.folder.do(trainer.from_start(network))
    weights = trainer.untrained(network).state_dict()
    expected = build_model("small_unet", network.arguments, trainer.pictures.spec, seed=trainer.config.seed)
    for state in (weights, begun[0].state_dict()):
        assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in state.items())
