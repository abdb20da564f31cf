from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from torchseg.data import Sample
from torchseg.pipeline.manifest.record_check import RunRecordCheck
from torchseg.pipeline.run.dataset import add_to_hash
from torchseg.pipeline.run.folder import RunFolder


@dataclasses.dataclass
class _Parts:
    train: list
    transfer: list
    validation: list
    test: list


def _sample(value):
    return Sample(name="a", picture=np.full((2, 2, 3), value, np.uint8), mask=np.zeros((2, 2), np.uint8))


@pytest.fixture
def run(tmp_path):
    digest = hashlib.sha256()
    add_to_hash(digest, _sample(1))
    folder = RunFolder(tmp_path / "run")
    with folder.held():
        (folder.path / "config.yaml").write_text("seed: 0\n")
        (folder.path / "scores.csv").write_text("miou\n")
        data = {part: {"sha256": digest.hexdigest()} for part in ("train", "transfer", "validation", "test")}
        (folder.path / "data.json").write_text(json.dumps(data))
    return folder.path


def _check(run, validation=1):
    check = RunRecordCheck(run, [])
    parts = _Parts([_sample(1)], [], [_sample(validation)], [_sample(1)])
    lines = {line.split(": ")[0].removeprefix(f"{run}/"): line.split(": ", 1)[1] for line in check.lines(lambda: parts)}
    return check.failed, lines


def test_an_honest_run_has_one_line_for_each_file_and_each_part(run):
    failed, lines = _check(run)
    assert not failed
    parts = ["train images", "validation images", "test images"]
    assert [*lines] == ["manifest.json", "config.yaml", "data.json", "scores.csv", *parts]
    assert lines["manifest.json"] == "its chain of 3 files holds"
    assert {lines[part] for part in parts} == {"as the run read them"}


def test_changed_images_and_changed_files_are_both_said(run):
    (run / "scores.csv").write_text("better\n")
    failed, lines = _check(run, validation=2)
    assert failed
    assert lines["scores.csv"].startswith("changed since the run wrote it")
    assert lines["validation images"].startswith("images or masks changed")
    assert lines["test images"] == "as the run read them"


def test_images_that_cannot_be_opened_are_one_line(run):
    check = RunRecordCheck(run, [])

    def gone():
        raise ValueError("there is no folder mine")

    assert [*check.lines(gone)][-1] == f"{run / 'images'}: there is no folder mine"
    assert check.failed


def test_a_run_without_a_manifest_fails_and_still_judges_its_images(run):
    (run / "manifest.json").unlink()
    failed, lines = _check(run)
    assert failed
    assert "is missing" in lines["manifest.json"]
    assert lines["test images"] == "as the run read them"
