from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from torchseg.harness.report.gallery import gallery
from torchseg.harness.report.run_parts import Confusion, is_in, read_gallery, read_part, text_of
from torchseg.harness.report.run_record import read_run

FILE = "student/model.safetensors"


@pytest.fixture
def run(tmp_path):
    """A run whose gallery has one image."""
    (tmp_path / "figures").mkdir()
    (tmp_path / "scores.csv").write_text(f"artifact\n{FILE}\n")
    for name in ("picture", "truth", "labels"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"figures/{name}.png")
    _write_gallery(tmp_path, picture="figures/picture.png")
    return tmp_path


def _write_gallery(run, *, picture):
    paths = {"picture": picture, "truth": "figures/truth.png", "labels": {FILE: "figures/labels.png"}}
    values = {"leader": FILE, "classes": ["a", "b"], "artifacts": [{"artifact": FILE}]}
    values["samples"] = [{"name": "one", "rank": "best", **paths}]
    (run / "figures/gallery.json").write_text(json.dumps(values))


def _cut(path):
    path.write_bytes(path.read_bytes()[:40])


def _resize(path):
    Image.fromarray(np.zeros((3, 5), np.uint8)).save(path)


@pytest.mark.parametrize("damage", [_cut, _resize, lambda path: path.write_bytes(b"")])
def test_an_image_of_the_gallery_that_is_damaged_is_left_out(damage, run, caplog):
    assert "<figure" in gallery(read_run(run), None)
    damage(run / "figures/labels.png")
    assert "<figure" not in gallery(read_run(run), None)
    assert "left out of the report: image one, whose files are damaged" in caplog.text


def test_a_gallery_shows_no_file_from_outside_the_run(run, tmp_path_factory):
    outside = tmp_path_factory.mktemp("other") / "secret.png"
    outside.write_bytes((run / "figures/picture.png").read_bytes())
    assert len(read_gallery(run)["samples"]) == 1
    for path in (str(outside), f"../../{outside.parent.name}/secret.png"):
        _write_gallery(run, picture=path)
        assert read_gallery(run)["samples"] == []


def test_a_name_that_no_file_can_have_is_none_of_the_run(run):
    assert is_in(run, "scores.csv")
    assert not is_in(run, "x" * 5000)
    assert not is_in(run, "a\0b")


def test_a_part_of_the_wrong_kind_is_left_out_and_named(tmp_path, caplog):
    path = tmp_path / "confusion.json"
    assert read_part(path, Confusion) == {}
    path.write_text(json.dumps({"classes": ["a"], "counts": {"x": [["many"]]}}))
    assert read_part(path, Confusion) == {}
    assert "confusion.json is damaged: counts.x[0][0] is 'many', expected a whole number" in caplog.text


def test_a_text_that_is_not_utf_8_is_left_out_and_named(tmp_path, caplog):
    (tmp_path / "config.yaml").write_bytes(b"\xff")
    assert text_of(tmp_path / "config.yaml") == ""
    assert "config.yaml is damaged: byte 0 is not UTF-8" in caplog.text
