from __future__ import annotations

import json
import re

import psutil
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


def _without_checksums(folder, **changes):
    """Rewrites the card as version 0.2 wrote it."""
    values = json.loads((folder / "card.json").read_text())
    kept = {name: value for name, value in values.items() if name not in ("checksum", "weights_sha256")}
    (folder / "card.json").write_text(json.dumps(kept | changes))


def test_damaged_weights_are_refused(saved):
    folder, _, _ = saved
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"model.safetensors is damaged, or of another run than card.json beside it"):
        load_checkpoint(folder)
    _without_checksums(folder)
    with pytest.raises(ValueError, match=r"does not hold the weights that card.json describes"):
        load_checkpoint(folder)


def test_a_header_larger_than_its_file_is_refused(saved):
    folder, _, _ = saved
    weights = folder / "model.safetensors"
    weights.write_bytes((2**62).to_bytes(8, "little") + weights.read_bytes()[8:])
    _without_checksums(folder)
    with pytest.raises(ValueError, match=r"does not hold the weights that card.json describes"):
        load_checkpoint(folder)


def test_a_card_of_a_far_larger_network_is_refused_before_it_is_built(saved):
    folder, _, _ = saved
    _without_checksums(folder, arguments={"base_width": 4096, "depth": 4})
    before = psutil.Process().memory_info().rss
    with pytest.raises(ValueError, match=r"but the network of card.json beside it \(unet\) has \d+ bytes"):
        load_checkpoint(folder)
    assert psutil.Process().memory_info().rss - before < 100 * 2**20


def test_a_network_larger_than_memory_is_refused(saved, monkeypatch):
    folder, _, _ = saved
    monkeypatch.setattr("torchseg.checkpoint.total_memory", lambda: 1000)
    with pytest.raises(ValueError, match=r"GiB of weights; this machine loads up to 50% of its .* use a larger one"):
        load_checkpoint(folder)


@pytest.mark.parametrize("arguments", [{"depth": 2147483648}, {"base_width": 10**9}])
def test_sizes_that_no_network_has_are_refused(saved, arguments):
    folder, _, _ = saved
    _without_checksums(folder, arguments=arguments)
    with pytest.raises(ValueError, match=r"of model 'unet' is \d+; give at most \d+"):
        load_checkpoint(folder)


def test_a_damaged_card_is_refused(saved):
    folder, _, _ = saved
    (folder / "card.json").write_text("{")
    with pytest.raises(ValueError, match=r"card.json is damaged"):
        read_card(folder)


def test_a_card_of_another_version_is_refused(saved):
    folder, _, _ = saved
    _without_checksums(folder, version=99)
    with pytest.raises(ValueError, match="card version 99"):
        read_card(folder)


@pytest.mark.parametrize("stage", ["../../../x", "/tmp/x", "a/../b", "a\\b", "C:x", "", ".", "a\0b", "x" * 999])
def test_a_stage_that_would_lead_out_of_its_folder_is_refused(saved, stage):
    folder, _, _ = saved
    _without_checksums(folder, stage=stage)
    with pytest.raises(ValueError, match=r"card.json is damaged: stage is .*; expected a name without leading slashes"):
        read_card(folder)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("builder", 7, "builder is 7, expected a text"),
        ("arguments", [], "arguments is [], expected an object"),
        ("spec", {}, "spec.height is missing, expected a value"),
        ("resized", "no", "resized is 'no', expected true or false"),
        ("metrics", {"val_miou": "high"}, "metrics.val_miou is 'high', expected a finite number"),
        ("parents", {"teacher": 1}, "parents.teacher is 1, expected a text"),
        ("colour", "red", "colour is 'red', expected no such field"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(saved, field, value, expected):
    folder, _, _ = saved
    _without_checksums(folder, **{field: value})
    with pytest.raises(ValueError, match=re.escape(f"card.json is damaged: {expected}")):
        read_card(folder)


@pytest.mark.parametrize("text", ["[" * 50_000, '{"a":' * 50_000, "\udcff"])
def test_a_card_that_is_no_card_is_one_message(saved, text):
    folder, _, _ = saved
    (folder / "card.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"card.json is damaged: .*; copy it again"):
        read_card(folder)
