from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import pytest
import torch
from lightning_fabric import Fabric

import torchseg.train.loop as loop
from torchseg.compress import ClusterConfig, PruneConfig, Pruning, ScheduleConfig, cluster_weights
from torchseg.data import Batches, BatchPlan, RandomView
from torchseg.data.datasets.scenes import CLASSES, Scenes
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train import FitConfig, NoCallback, Task, evaluate, fit, label_step, normalise
from torchseg.train.data_parallel import DataParallel
from torchseg.train.threads import num_threads

pytestmark = pytest.mark.usefixtures("fabric_in_one_thread")
SPEC = ImageSpec(height=16, width=16, classes=CLASSES)
STEP = label_step(ignore_index=255)


def _task(count=16):
    labelled = Scenes("train", height=16, width=16, length=count)
    plan = BatchPlan(labelled=count, transfer=0, batch_size=8, seed=0)
    batches = Batches(labelled, (), view=RandomView(height=16, width=16), plan=plan, workers=0)
    return Task(name="test", batches=batches, validation=Scenes("validation", height=16, width=16, length=8), spec=SPEC)


def _network():
    return build_model("unet", {"base_width": 4, "depth": 1}, SPEC, seed=3)


@pytest.fixture
def fabric():
    return Fabric(accelerator="cpu", devices=1)


def _launched(precision):
    """As a launcher that was told the precision, too, would have it."""
    return Fabric(accelerator="cpu", devices=1, precision={"fp32": "32-true", "bf16": "bf16-mixed"}[precision])


def test_training_lowers_the_loss(fabric, tmp_path):
    progress = fit(_network(), _task(), STEP, FitConfig(epochs=12, learning_rate=0.02), fabric=fabric, folder=tmp_path)
    assert progress.curve[-1]["train_loss"] < 0.9 * progress.curve[0]["train_loss"]
    assert [row["epoch"] for row in progress.curve] == list(range(1, 13))


def test_the_network_ends_with_its_best_weights(fabric, tmp_path):
    network = _network()
    progress = fit(network, _task(), STEP, FitConfig(epochs=6, learning_rate=0.02), fabric=fabric, folder=tmp_path)
    assert not network.training
    assert progress.best_miou == max(row["val_miou"] for row in progress.curve)
    assert evaluate(network, _task().validation, SPEC).miou == pytest.approx(progress.best_miou)


def _plain():
    return _network(), _task()


def _pruned():
    """Zeros come at every step, so that an interruption is in the middle of them."""
    network = _network()
    schedule = ScheduleConfig(end="100%", frequency=1)
    callback = Pruning(network, PruneConfig(sparsity=0.6, schedule=schedule), epochs=6, steps_per_epoch=2)
    return network, replace(_task(), callback=callback)


def _clustered():
    network = _network()
    return network, replace(
        _task(), callback=cluster_weights(network, ClusterConfig(clusters=3, reassign_every=2, per="tensor"))
    )


@pytest.mark.parametrize("prepare", [_pruned, _clustered])
def test_weights_that_a_callback_changes_are_not_averaged(prepare, fabric, tmp_path):
    network, task = prepare()
    with pytest.raises(ValueError, match=r"ema is 0.9, but a callback acts on the weights.*give 0"):
        fit(network, task, STEP, FitConfig(epochs=1, ema=0.9), fabric=fabric, folder=tmp_path)


@pytest.mark.parametrize(
    ("prepare", "changes"),
    [
        (_plain, {}),
        (_pruned, {}),
        (_clustered, {}),
        (_plain, {"ema": 0.9}),
        (_plain, {"optimizer": "adam"}),
        (_plain, {"optimizer": "sgd"}),
    ],
    ids=["plain", "pruned", "clustered", "averaged", "adam", "sgd"],
)
def test_an_interrupted_training_ends_with_the_same_weights(prepare, changes, fabric, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", -1.0)
    config = FitConfig(epochs=6, learning_rate=0.02, **changes)
    whole, task = prepare()
    curve = fit(whole, task, STEP, config, fabric=fabric, folder=tmp_path / "whole").curve

    calls = 0

    def dying_step(model, images, batch):
        nonlocal calls
        calls += 1
        if calls > 2 * 4 + 1:  # in the middle of the third epoch of two steps on two halves
            raise KeyboardInterrupt
        return STEP(model, images, batch)

    network, task = prepare()
    with pytest.raises(KeyboardInterrupt):
        fit(network, task, dying_step, config, fabric=fabric, folder=tmp_path / "parts")
    resumed, task = prepare()
    progress = fit(resumed, task, STEP, config, fabric=fabric, folder=tmp_path / "parts")
    assert progress.epoch == 6
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
    for column in ("train_loss", "val_loss", "val_miou"):
        assert [row[column] for row in progress.curve] == [row[column] for row in curve]


def test_without_an_average_the_weights_themselves_are_kept(fabric, tmp_path, monkeypatch):
    """As with a decay so small that nothing is kept of the old average."""
    results = {}
    for ema in (0.0, 1e-12):
        network = _network()
        config = FitConfig(epochs=3, learning_rate=0.02, ema=ema)
        curve = fit(network, _task(), STEP, config, fabric=fabric, folder=tmp_path / str(ema)).curve
        results[ema] = network.state_dict(), [row["val_miou"] for row in curve]
    for name, tensor in results[0.0][0].items():
        assert torch.allclose(results[1e-12][0][name], tensor, atol=1e-5), name
    monkeypatch.setattr(loop, "averaged_model", None)  # not even made
    plain = _network()
    curve = fit(plain, _task(), STEP, FitConfig(epochs=3, learning_rate=0.02), fabric=fabric, folder=tmp_path).curve
    assert [row["val_miou"] for row in curve] == results[0.0][1]
    assert all(torch.equal(plain.state_dict()[name], tensor) for name, tensor in results[0.0][0].items())


def test_the_average_is_what_is_validated_and_kept_and_does_not_change_the_training(fabric, tmp_path):
    averages, weights = [], []

    class Watch(NoCallback):
        def after_step(self, step, model, optimizer=None):
            weights.append({name: tensor.clone() for name, tensor in model.state_dict().items()})

    curves = []
    for ema in (0.0, 0.7):
        network = _network()
        config = FitConfig(epochs=3, learning_rate=0.02, ema=ema)
        progress = fit(
            network,
            replace(_task(), callback=Watch()),
            STEP,
            config,
            fabric=fabric,
            folder=tmp_path / str(ema),
        )
        curves.append(progress.curve)
        averages.append(network)
    assert [row["train_loss"] for row in curves[0]] == [row["train_loss"] for row in curves[1]]
    assert [row["val_loss"] for row in curves[0]] != [row["val_loss"] for row in curves[1]]
    half = len(weights) // 2
    for mine, theirs in zip(weights[:half], weights[half:], strict=True):
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())
    own = weights[1]["stem.0.weight"]  # after the first step; [0] is before it
    seen = [own]
    for done, now in enumerate(weights[2:half], start=1):
        kept = min(0.7, (1 + done) / (10 + done))
        own = kept * own + (1 - kept) * now["stem.0.weight"]
        seen.append(own)
    best = max(range(3), key=lambda epoch: curves[1][epoch]["val_miou"])
    assert torch.allclose(averages[1].stem[0].weight, seen[2 * best + 1], atol=1e-6)
    assert not torch.allclose(averages[1].stem[0].weight, weights[1 + 2 * best + 1]["stem.0.weight"], atol=1e-4)


def test_a_short_training_with_a_long_average_is_not_stuck_at_its_initial_weights(fabric, tmp_path):
    """In 12 steps a plain average of decay 0.999 would move by 1 %."""
    losses = []
    for ema in (0.0, 0.999):
        config = FitConfig(epochs=6, learning_rate=0.02, ema=ema)
        curve = fit(_network(), _task(), STEP, config, fabric=fabric, folder=tmp_path / str(ema)).curve
        losses.append((curve[0]["val_loss"], curve[-1]["val_loss"]))
    (first, plain), (_, averaged) = losses
    assert first - averaged > 0.5 * (first - plain) > 0


def test_weights_count_as_the_best_only_when_the_callback_allows_it(fabric, tmp_path):
    network, task = _pruned()
    progress = fit(network, task, STEP, FitConfig(epochs=6, learning_rate=0.02), fabric=fabric, folder=tmp_path)
    assert progress.best_miou == progress.curve[-1]["val_miou"]  # the last zeros came with the last step
    weight = network.stem[0].weight
    assert int((weight == 0).sum()) == int(0.6 * weight.numel())


def test_a_gradient_that_is_too_long_is_shortened(fabric, tmp_path):
    lengths = []

    class Watch(NoCallback):
        def after_step(self, step, model, optimizer=None):
            gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
            lengths.append(float(sum(gradient.square().sum() for gradient in gradients)) ** 0.5)

    def steep(model, images, batch):
        return 1000 * STEP(model, images, batch)

    task = replace(_task(), callback=Watch())
    fit(_network(), task, steep, FitConfig(epochs=1, gradient_norm=0.5), fabric=fabric, folder=tmp_path)
    assert lengths[1:] == [pytest.approx(0.5, abs=1e-4)] * 2


def test_a_damaged_state_starts_over(fabric, tmp_path):
    (tmp_path / "training.safetensors").write_bytes(b"cut")
    progress = fit(_network(), _task(), STEP, FitConfig(epochs=1), fabric=fabric, folder=tmp_path)
    assert len(progress.curve) == 1


def test_the_validation_part_is_asked_now_and_then_and_at_the_end(fabric, tmp_path):
    config = FitConfig(epochs=5, validations=2)
    rows = fit(_network(), _task(8), STEP, config, fabric=fabric, folder=tmp_path).curve
    assert [row["epoch"] for row in rows if "val_miou" in row] == [3, 5]


def test_pictures_are_normalised_as_the_spec_says():
    sample = Scenes("train", height=16, width=16)[0]
    expected = torch.from_numpy(SPEC.prepare(sample.picture[None]))
    pictures = torch.from_numpy(sample.picture.transpose(2, 0, 1).copy())[None]
    assert torch.allclose(normalise(pictures, SPEC), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "at least 1"),
        ({"learning_rate": 0}, "positive"),
        ({"precision": "fp16"}, "choose from fp32, bf16"),
        ({"micro_batches": 0}, "give 1 for whole batches"),
        ({"micro_batches": 3}, "or 2 for halves"),
        ({"schedule": "flat"}, "schedule is 'flat'; choose from cosine, stable"),
        ({"ema": 1}, r"ema is 1; give a decay in \[0, 1\), e.g. 0.99, or 0 for no average"),
        ({"ema": -0.1}, "ema is -0.1; give a decay"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        FitConfig(**{"epochs": 1} | changes)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_gives_the_same_weights_with_every_number_of_threads(precision, threads, tmp_path):
    config = FitConfig(epochs=2, learning_rate=0.02, precision=precision)
    before = torch.get_num_threads()
    weights = []
    for cores in (1, threads):
        network = _network()
        torch.set_num_threads(cores)
        try:
            fit(network, _task(), STEP, config, fabric=_launched(precision), folder=tmp_path / str(len(weights)))
        finally:
            torch.set_num_threads(before)
        weights.append(network.state_dict())
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_parts_of_a_batch_share_no_state_of_a_library(precision, tmp_path):
    """The first part ends its gradient while the second is still inside: nothing may be left behind for it."""
    config = FitConfig(epochs=1, precision=precision)
    order = threading.Barrier(2, timeout=30)
    left = threading.Event()

    class Waits(torch.autograd.Function):
        @staticmethod
        def forward(context, logits, first):
            context.first = first
            return logits.view_as(logits)

        @staticmethod
        def backward(context, gradient):
            order.wait()  # both are inside
            if not context.first:
                assert left.wait(30)  # the first has left
            return gradient, None

    numbers = itertools.count()

    def step(model, images, batch):
        return STEP(lambda pictures: Waits.apply(model(pictures), next(numbers) % 2 == 0), images, batch)

    class Leaves(DataParallel):
        def learn(self, loss, batch):
            backward = self.backward

            def and_tell(scalar):
                backward(scalar)
                left.set()

            left.clear()
            self.backward = and_tell
            try:
                return super().learn(loss, batch)
            finally:
                self.backward = backward

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "DataParallel", Leaves)
            progress = fit(_network(), _task(), step, config, fabric=_launched(precision), folder=tmp_path)
    finally:
        torch.set_num_threads(before)
    assert progress.epoch == 1


@pytest.mark.parametrize("parts", [1, 2])
def test_a_batch_is_learned_from_in_as_many_parts_as_asked_for(parts, fabric, tmp_path):
    sizes = []

    def step(model, images, batch):
        sizes.append(len(images))
        return STEP(model, images, batch)

    fit(_network(), _task(), step, FitConfig(epochs=1, micro_batches=parts), fabric=fabric, folder=tmp_path)
    assert sizes == [8 // parts] * 2 * parts


@pytest.mark.parametrize(("parts", "threads"), [(1, 4), (2, 2)])
def test_an_optimizer_step_uses_as_many_threads_as_each_part_and_an_evaluation_all(
    parts, threads, fabric, tmp_path, monkeypatch
):
    seen, all_threads = [], []

    class Look(NoCallback):
        def after_step(self, step, model, optimizer=None):
            if step:
                seen.append(torch.get_num_threads())

    def look(*arguments):
        all_threads.append(torch.get_num_threads())
        return evaluate(*arguments)

    monkeypatch.setattr(loop, "evaluate", look)
    with num_threads(4):
        task = replace(_task(), callback=Look())
        fit(_network(), task, STEP, FitConfig(epochs=2, micro_batches=parts), fabric=fabric, folder=tmp_path)
    assert seen == [threads] * 4
    assert all_threads == [4] * 2
