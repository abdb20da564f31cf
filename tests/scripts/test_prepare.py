"""Each fault planted into a small data set is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.prepare import main
from torchseg.data import open_data
from torchseg.data.datasets.folder import folder


@pytest.fixture
def run(pictures):
    return lambda *more: main(["--data", "folder", "--root", str(pictures), *more])


def test_a_sound_set_shows_its_parts_and_classes(run, capsys):
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["train", "validation", "test"]
    assert sum(map(int, lines[1].split()[1:])) == 30
    assert lines[2].split()[1:] == ["32x32"] * 3
    ground = next(line for line in lines if line.startswith("ground"))
    assert 20 < float(ground.split()[1]) < 95
    assert lines[-1] == "no faults"


def test_a_missing_mask_is_found(run, pictures, capsys):
    (pictures / "masks/p4.png").unlink()
    assert run() == 2
    assert "p4.png has no mask" in capsys.readouterr().err


def test_another_size_is_found(run, pictures, capsys):
    Image.new("L", (32, 30)).save(pictures / "masks/p4.png")
    assert run() == 2
    assert "masks/p4.png is 30x32 but its image" in capsys.readouterr().err


def test_all_faults_of_content_are_found_at_once(run, pictures, capsys):
    data = folder(pictures, group="none")
    train, test = data.train.pairs[0][0], data.test.pairs[0][0]
    shutil.copy(train, test)
    Image.fromarray(np.full((32, 32), 9, np.uint8)).save(data.train.pairs[1][1])
    assert run("--out", "copy", "--group", "none") == 1
    output = capsys.readouterr().out
    assert f"image '{test.stem}' of the test split is image '{train.stem}' of the train split" in output
    assert f"mask {data.train.pairs[1][1]}: it holds the value 9" in output
    assert "2 faults" in output
    assert not Path("copy").exists()


def test_the_copy_is_smaller_and_keeps_parts_classes_and_masks(run, pictures, capsys):
    assert run("--image_size", "8", "--out", "copy") == 0
    assert "--data folder --root copy --image_size 8,8" in capsys.readouterr().out
    data, copy = (open_data("folder", root, size=(8, 8)) for root in (pictures, Path("copy")))
    assert copy.classes == data.classes
    for part in ("train", "validation", "test"):
        assert [each.name for each in getattr(copy, part)] == [each.name for each in getattr(data, part)]
    assert copy.test[0].picture.shape == (16, 16, 3)
    assert np.isin(copy.test[0].mask, data.test[0].mask).all()
    assert run("--out", "copy") == 2
    assert "--out copy exists already; give a new folder" in capsys.readouterr().err


def test_a_repaired_copy_is_written_and_checked(run, pictures, capsys):
    for mask in (pictures / "masks").iterdir():
        Image.open(mask).resize((16, 16), Image.Resampling.NEAREST).save(mask)
    assert run() == 2
    assert "or let prepare --fix OUT resize it in a copy" in capsys.readouterr().err
    assert run("--fix", "fixed") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("was resized to 32x32 (29 more like this)")
    assert lines[1].startswith("30 repairs in ")
    assert lines[-1] == "no faults"


def test_only_a_folder_can_be_repaired(capsys):
    assert main(["--data", "camvid", "--fix", "fixed"]) == 2
    assert "fix mends a data set of the kind folder, and data is camvid; drop --fix" in capsys.readouterr().err
