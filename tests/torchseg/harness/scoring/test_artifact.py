from __future__ import annotations

from pathlib import Path

import pytest

from torchseg.harness.scoring.artifact import Artifact, artifact_names


@pytest.fixture
def names(tmp_path):
    """What files at these places are called when `tmp_path/run` is the run folder."""

    def ask(*paths: str) -> list[str]:
        artifacts = [Artifact(path=tmp_path / path, stage="s", format="onnx", precision="fp32") for path in paths]
        return artifact_names(artifacts, tmp_path / "run")

    return ask


def test_a_file_of_the_run_goes_by_its_path_inside(names):
    assert names("run/artifacts/a.onnx", "elsewhere/a.onnx") == ["artifacts/a.onnx", "elsewhere/a.onnx"]


def test_a_file_from_elsewhere_goes_by_its_name(names):
    assert names("mine/a.onnx", "mine/b.onnx") == ["a.onnx", "b.onnx"]


def test_files_of_one_name_are_told_apart_by_as_many_folders_as_it_takes(names):
    assert names("one/x/a.onnx", "two/x/a.onnx", "two/y/a.onnx") == ["one/x/a.onnx", "two/x/a.onnx", "y/a.onnx"]


def test_the_same_file_twice_has_one_name(names):
    assert names("mine/a.onnx", "mine/a.onnx") == ["a.onnx", "a.onnx"]


def test_a_link_is_a_name_of_its_own(names, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a.onnx").write_bytes(b"x")
    (tmp_path / "mine/b.onnx").symlink_to("a.onnx")
    assert names("mine/a.onnx", "mine/b.onnx") == ["a.onnx", "b.onnx"]


def test_a_checkpoint_goes_by_its_weights(names, tmp_path):
    (tmp_path / "run/student").mkdir(parents=True)
    assert names("run/student") == ["student/model.safetensors"]


def test_without_a_baseline_a_file_is_held_against_its_reference():
    exported = {"path": Path("a.onnx"), "stage": "s", "format": "onnx", "precision": "fp32"}
    plain = Artifact(**exported, reference=Path("student/card.json"))
    assert plain.baseline_folder == Path("student").resolve()
    assert Artifact(**exported, baseline=Path("b.onnx")).baseline_folder == Path("b.onnx").resolve()
