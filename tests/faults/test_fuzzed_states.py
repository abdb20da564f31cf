"""Training states and checkpoints in which one bit changed are never taken for whole ones."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from torch import nn

from tests.faults.mutations import flipped, number_of, report
from torchseg.checkpoint import CARD, WEIGHTS, Card, load_checkpoint, save_checkpoint
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train.callback import NoCallback
from torchseg.train.state import Progress, load_progress, save_progress

SPEC = ImageSpec(height=8, width=8, classes=("a", "b"))
STATE = "training.safetensors"


def _trained():
    torch.manual_seed(0)
    network = nn.Conv2d(1, 2, 3)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.randn(1, 1, 4, 4)).sum().backward()
    optimizer.step()
    return network, optimizer


def test_no_damaged_training_state_is_accepted(tmp_path):
    network, optimizer = _trained()
    progress = Progress(epoch=3, best_miou=0.5, best=copy.deepcopy(network.state_dict()), curve=[{"epoch": 3}])
    save_progress(tmp_path, progress, network, optimizer, callback=NoCallback())
    assert load_progress(tmp_path, *_trained(), callback=NoCallback()).epoch == 3
    whole = (tmp_path / STATE).read_bytes()
    outcomes: Counter[str] = Counter()
    for seed in range(number_of(2500, short=40)):
        (tmp_path / STATE).write_bytes(flipped(whole, seed))
        epoch = load_progress(tmp_path, *_trained(), callback=NoCallback()).epoch
        outcomes["refused" if epoch == 0 else "accepted"] += 1
    report("training states", outcomes)
    assert not outcomes["accepted"]


def test_no_damaged_checkpoint_is_accepted(tmp_path):
    arguments = {"base_width": 2, "depth": 1}
    card = Card(builder="small_unet", arguments=arguments, spec=SPEC, stage="student", metrics={"val_miou": 0.5})
    save_checkpoint(build_model("small_unet", arguments, SPEC), card, tmp_path / "net")
    whole = {name: (tmp_path / "net" / name).read_bytes() for name in (WEIGHTS, CARD)}
    outcomes: Counter[str] = Counter()
    for seed in range(number_of(2500, short=40)):
        name = (WEIGHTS, CARD)[seed % 2]
        (tmp_path / "net" / name).write_bytes(flipped(whole[name], seed))
        with pytest.raises(ValueError, match=r"card.json|model.safetensors"):
            load_checkpoint(tmp_path / "net")
        outcomes["refused"] += 1
        (tmp_path / "net" / name).write_bytes(whole[name])
    report("checkpoints", outcomes)
    assert load_checkpoint(tmp_path / "net")[1].stage == "student"
