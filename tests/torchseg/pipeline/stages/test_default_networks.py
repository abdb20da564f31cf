from __future__ import annotations

import importlib.util

import pytest
import yaml

from torchseg.checkpoint import Card, save_checkpoint
from torchseg.config import DistillConfig, SearchConfig
from torchseg.console import console
from torchseg.models import build_model
from torchseg.pipeline.stages.default_networks import PHOTO_STUDENT, PHOTO_TEACHER, PRETRAINED, with_default_networks
from torchseg.spec import ImageSpec


@pytest.fixture(params=[True, False], ids=["with weights", "without weights"])
def weights(request, monkeypatch):
    """Whether the packages with ImageNet weights seem to be installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: request.param or None)
    return request.param


def _networks(config):
    chosen = with_default_networks(config)
    return (chosen.teacher, chosen.teacher_arguments), (chosen.student, chosen.student_arguments)


def test_generated_images_get_networks_that_train_within_minutes(tmp_path):
    assert _networks(DistillConfig(out=tmp_path)) == (("attention_unet", "base_width=24"), ("fast_unet", ""))


def test_photos_start_from_imagenet_where_the_weights_are_installed(weights, tmp_path, capsys):
    with console():
        teacher, student = _networks(DistillConfig(data="folder", out=tmp_path))
    said = capsys.readouterr().out
    if weights:
        assert (teacher, student) == ((PHOTO_TEACHER, PRETRAINED), (PHOTO_STUDENT, PRETRAINED))
        assert said == ""
    else:
        assert (teacher, student) == (("attention_unet", ""), ("fast_unet", ""))
        assert said.count("pip install 'torchseg-compress[pretrained]'") == 2


def test_a_name_or_arguments_that_the_user_gives_stay(weights, tmp_path):
    config = DistillConfig(
        data="folder", out=tmp_path, teacher="unet", teacher_arguments="depth=2", student_arguments="base_width=8"
    )
    assert _networks(config) == (("unet", "depth=2"), ("fast_unet", "base_width=8"))
    assert with_default_networks(DistillConfig(data="folder", out=tmp_path, teacher=None)).teacher is None


@pytest.mark.parametrize("weights", [True], indirect=True)
@pytest.mark.parametrize(
    ("size", "teacher", "student"),
    [
        ("96,160", PHOTO_TEACHER, PHOTO_STUDENT),
        ("80", "attention_unet", PHOTO_STUDENT),
        ("72", "attention_unet", "fast_unet"),
    ],
)
def test_a_size_that_a_pretrained_network_cannot_take_gets_another_one(weights, size, teacher, student, tmp_path):
    networks = _networks(DistillConfig(data="folder", image_size=size, out=tmp_path))
    assert [name for name, _ in networks] == [teacher, student]


@pytest.mark.parametrize("weights", [True], indirect=True)
def test_a_student_of_a_given_teacher_sees_images_scaled_as_the_teacher_does(weights, tmp_path):
    spec = ImageSpec(height=128, width=128, classes=("a", "b"))
    network = build_model("unet", {"base_width": 2, "depth": 1}, spec)
    card = Card(builder="unet", arguments={"base_width": 2, "depth": 1}, spec=spec, stage="teacher")
    save_checkpoint(network, card, tmp_path / "teacher")
    config = DistillConfig(data="folder", teacher_checkpoint=tmp_path / "teacher", out=tmp_path / "run")
    assert with_default_networks(config).student == "fast_unet"


def _record(config, **values):
    config.run.mkdir(parents=True)
    (config.run / "config.yaml").write_text(yaml.safe_dump({"data": config.data, **values}), encoding="utf-8")


def test_a_run_that_goes_on_keeps_its_networks_on_a_machine_without_the_weights(tmp_path, monkeypatch):
    config = DistillConfig(data="folder", out=tmp_path / "run")
    _record(config, teacher=PHOTO_TEACHER, teacher_arguments=PRETRAINED, student="small_unet", student_arguments="")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert _networks(config) == ((PHOTO_TEACHER, PRETRAINED), ("small_unet", ""))
    fresh = DistillConfig(data="folder", out=tmp_path / "run", fresh=True)
    assert _networks(fresh) == (("attention_unet", ""), ("fast_unet", ""))


@pytest.mark.parametrize("text", ["", "teacher: [", "- a", "teacher: auto\nstudent: auto\ndata: scenes\n"])
def test_a_record_that_names_no_network_is_passed_over(text, tmp_path):
    config = DistillConfig(out=tmp_path)
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    assert _networks(config) == (("attention_unet", "base_width=24"), ("fast_unet", ""))


def test_a_student_chosen_by_its_cost_and_that_of_a_search_are_left_alone(tmp_path):
    assert with_default_networks(DistillConfig(out=tmp_path, max_size_kb=100)).student == "auto"
    assert with_default_networks(SearchConfig(out=tmp_path)).student == "fast_unet"
