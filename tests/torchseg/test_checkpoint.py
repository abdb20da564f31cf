from __future__ import annotations

import json

import pytest
import torch

from torchseg.checkpoint import Card, load_checkpoint, read_card, save_checkpoint
from torchseg.models import build_model
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=16, classes=("a", "b"))
ARGUMENTS = {"base_width": 4, "depth": 2}


@pytest.fixture
def saved(tmp_path):
    model = build_model("unet", ARGUMENTS, SPEC)
    card = Card(builder="unet", arguments=ARGUMENTS, spec=SPEC, stage="teacher", metrics={"val_miou": 0.5})
    save_checkpoint(model, card, tmp_path / "teacher")
    return tmp_path / "teacher", model, card


def test_saving_and_loading_changes_no_weight(saved):
    folder, model, card = saved
    loaded, loaded_card = load_checkpoint(folder)
    assert loaded_card == card
    assert not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_a_file_of_the_checkpoint_names_it_as_well(saved):
    folder, _, card = saved
    assert load_checkpoint(folder / "model.safetensors")[1] == card


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is not a checkpoint: it needs card.json and model.safetensors"):
        read_card(tmp_path)


def test_damaged_weights_are_refused(saved):
    folder, _, _ = saved
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"does not hold the weights that card.json describes"):
        load_checkpoint(folder)


def test_a_damaged_card_is_refused(saved):
    folder, _, _ = saved
    (folder / "card.json").write_text("{")
    with pytest.raises(ValueError, match=r"card.json is damaged"):
        read_card(folder)


def test_a_card_of_another_version_is_refused(saved):
    folder, _, _ = saved
    values = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(values | {"version": 99}))
    with pytest.raises(ValueError, match="card version 99"):
        read_card(folder)
