"""A bit that flips on disk is noticed, never taken for a result."""

from __future__ import annotations

import copy
import json
import os
import random

import pytest
import torch
from safetensors import safe_open
from torch import nn

from torchseg.checkpoint import CARD, WEIGHTS, Card, load_checkpoint, save_checkpoint
from torchseg.console import console
from torchseg.data import CachedSamples, CacheWriter
from torchseg.data.datasets.scenes import Scenes
from torchseg.models import build_model
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.spec import ImageSpec
from torchseg.tensor_file import write_tensors
from torchseg.train.callback import NoCallback
from torchseg.train.state import Progress, load_progress, save_progress

SPEC = ImageSpec(height=8, width=8, classes=("a", "b"))
ARGUMENTS = {"base_width": 2, "depth": 1}
SEEDS = range(int(os.environ.get("FAULT_SEEDS", "8")))  # `make faults` tries many


def flip(path, *, seed, start=0):
    """Flips one bit of a file at a random place behind `start`."""
    content = bytearray(path.read_bytes())
    place = random.Random(seed).randrange(8 * start, 8 * len(content))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


def _trained(epoch):
    torch.manual_seed(epoch)
    network = nn.Conv2d(1, 2, 3)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.randn(1, 1, 4, 4)).sum().backward()
    optimizer.step()
    return network, optimizer


def _save(folder, epoch):
    network, optimizer = _trained(epoch)
    progress = Progress(epoch=epoch, best_miou=0.5, best=copy.deepcopy(network.state_dict()), curve=[{"epoch": epoch}])
    save_progress(folder, progress, network, optimizer, callback=NoCallback())
    return network


@pytest.mark.parametrize("seed", SEEDS)
def test_a_training_goes_on_from_the_state_before_the_damaged_one_and_says_so(seed, tmp_path, capsys):
    older = _save(tmp_path, 1)
    _save(tmp_path, 2)
    flip(tmp_path / "training.safetensors", seed=seed)
    network, optimizer = _trained(9)
    with console():
        progress = load_progress(tmp_path, network, optimizer, callback=NoCallback())
    assert progress.epoch == 1
    assert torch.equal(network.weight, older.weight)
    assert "training.safetensors is damaged" in (said := capsys.readouterr().out)
    assert "training goes on after epoch 1" in said


def test_a_training_without_a_whole_state_starts_over_and_says_so(tmp_path, capsys):
    _save(tmp_path, 1)
    flip(tmp_path / "training.safetensors", seed=0)
    with console():
        assert load_progress(tmp_path, *_trained(9), callback=NoCallback()).epoch == 0
    assert "this training starts over" in capsys.readouterr().out


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cached_image_that_changed_is_named(seed, tmp_path):
    samples = Scenes("train", height=8, width=8, length=3)
    writer = CacheWriter(tmp_path / "train", limit_bytes=10**6)
    for index in range(3):
        writer.add(samples[index])
    writer.close()
    flip(tmp_path / "train.bin", seed=seed)
    cached = CachedSamples(tmp_path / "train", samples)
    with pytest.raises(ValueError, match=r"train.bin is damaged: image train_0000\d has not the checksum .*; delete"):
        [cached[index] for index in range(3)]


@pytest.fixture
def checkpoint(tmp_path):
    network = build_model("small_unet", ARGUMENTS, SPEC)
    card = Card(builder="small_unet", arguments=ARGUMENTS, spec=SPEC, stage="student", metrics={"val_miou": 0.5})
    save_checkpoint(network, card, tmp_path / "student")
    return tmp_path / "student"


@pytest.mark.parametrize("name", [CARD, WEIGHTS])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_checkpoint_that_changed_is_refused(name, seed, checkpoint):
    flip(checkpoint / name, seed=seed)
    with pytest.raises(ValueError, match=r"card.json|model.safetensors"):
        load_checkpoint(checkpoint)


def test_a_card_without_checksums_is_read_as_before(checkpoint):
    values = json.loads((checkpoint / CARD).read_text())
    for name in ("checksum", "weights_sha256"):
        del values[name]
    (checkpoint / CARD).write_text(json.dumps(values | {"version": 3}))
    assert load_checkpoint(checkpoint)[1].stage == "student"


def test_a_card_that_somebody_changed_says_how_to_keep_the_change(checkpoint):
    text = (checkpoint / CARD).read_text()
    (checkpoint / CARD).write_text(text.replace("0.5", "0.9"))
    with pytest.raises(ValueError, match=r"changed after it was written: .*, or remove the field checksum if you made"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stage_whose_stamp_changed_runs_again_and_says_so(seed, tmp_path, capsys):
    def run(work):
        (work / "out.txt").write_text("a")

    stage = Stage(name="one", inputs={"x": 1}, outputs=["out.txt"], run=run)
    RunFolder(tmp_path).do(stage)
    flip(tmp_path / ".stages/one.json", seed=seed)
    with console():
        assert RunFolder(tmp_path).do(stage)
    assert "one runs again: " in capsys.readouterr().out
    assert not RunFolder(tmp_path).do(stage)


def test_an_output_that_changed_is_named(tmp_path, capsys):
    def run(work):
        (work / "out.txt").write_text("a")

    stage = Stage(name="one", inputs={"x": 1}, outputs=["out.txt"], run=run)
    RunFolder(tmp_path).do(stage)
    flip(tmp_path / "out.txt", seed=0)
    with console():
        assert RunFolder(tmp_path).do(stage)
    assert "out.txt is not what the stage wrote" in capsys.readouterr().out


def test_a_state_whose_hash_lost_its_name_is_damaged_and_one_of_an_older_version_is_not(tmp_path):
    _save(tmp_path, 1)
    path = tmp_path / "training.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"sha256"', b'"sha2v6"'))
    assert load_progress(tmp_path, *_trained(9), callback=NoCallback()).epoch == 0
    path.write_bytes(whole)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        text = file.metadata()["progress"]
    write_tensors(tensors, path, metadata={"progress": text})
    assert load_progress(tmp_path, *_trained(9), callback=NoCallback()).epoch == 1
