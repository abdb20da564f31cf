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


def test_a_sound_set_shows_its_parts_and_classes(run, pictures, capsys):
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["train", "validation", "test"]
    assert sum(map(int, lines[1].split()[1:])) == 30
    assert lines[2].split()[1:] == ["32x32"] * 3
    ground = next(line for line in lines if line.startswith("ground"))
    assert 20 < float(ground.split()[1]) < 95
    assert lines[-1] == "no faults"
    data = f"--data folder --root {pictures}"
    assert any(line.endswith(f"{data} --folds 5 tests on every image once") for line in lines)


def test_a_missing_mask_is_found(run, pictures, capsys):
    (pictures / "masks/p4.png").unlink()
    assert run() == 2
    assert "p4.png has no mask" in capsys.readouterr().err


def test_another_size_is_found(run, pictures, capsys):
    Image.new("L", (32, 30)).save(pictures / "masks/p4.png")
    assert run() == 2
    assert "masks/p4.png is 30x32 but its image" in capsys.readouterr().err


def test_files_that_cannot_be_opened_are_all_found_and_counted(run, pictures, capsys):
    """They are found before the splits are chosen, and the first one alone would be one run of the command for each."""
    for at in range(20):
        (pictures / f"images/p{at}.png").write_bytes(b"nothing of use")
    Image.new("L", (32, 30)).save(pictures / "masks/p25.png")
    assert run() == 2
    said = capsys.readouterr().err
    assert "cannot read the image" in said
    assert "(19 more like this)" in said
    assert "masks/p25.png is 30x32 but its image" in said


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


@pytest.fixture
def uneven(pictures):
    """The data set with the last class in masks of the training split alone."""
    for part, numbers in (("train", range(24)), ("val", range(24, 27)), ("test", range(27, 30))):
        (pictures / f"{part}.txt").write_text("".join(f"p{number}\n" for number in numbers))
    for number in range(30):
        path = pictures / f"masks/p{number}.png"
        mask = np.minimum(np.asarray(Image.open(path)), 3)
        mask[:8, :8] = 4 if number < 4 else 0
        Image.fromarray(mask).save(path)


def test_a_split_without_a_class_is_offered_the_stratified_one(run, pictures, uneven, capsys):
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    last = lines[lines.index("no faults") - 1]
    assert "  warning  in no mask of the validation and test split: ring" in lines
    assert last == (
        "  advice   for class ring: --split stratified makes splits that each show the class, if it can, whatever "
        "lists or subfolders say"
    )
    assert run("--split", "stratified", "--out", "even") == 0
    assert "advice   for class ring" not in capsys.readouterr().out
    copy = open_data("folder", Path("even"), size=(8, 8))
    assert all(any((sample.mask == 4).any() for sample in part) for part in (copy.train, copy.validation, copy.test))


def test_a_repaired_copy_keeps_the_splits_that_were_chosen(run, pictures, uneven):
    assert run("--split", "stratified", "--fix", "fixed") == 0
    copy = open_data("folder", Path("fixed"), size=(8, 8))
    assert all(any((sample.mask == 4).any() for sample in part) for part in (copy.train, copy.validation, copy.test))


def test_the_stratified_split_is_not_offered_where_it_was_chosen_already(run, pictures, uneven, capsys):
    for name in ("train", "val", "test"):
        (pictures / f"{name}.txt").unlink()
    assert run("--group", "^p(?=[0-3]$)|.$") == 0  # the images that show the class are one group
    out = capsys.readouterr().out
    assert "in no mask of the " in out
    assert "--split stratified" not in out


def test_what_helps_rare_classes_is_one_sentence(run, pictures, capsys):
    for path in (pictures / "masks").iterdir():
        mask = np.minimum(np.asarray(Image.open(path)), 3)
        mask[0, :2] = 4
        Image.fromarray(mask).save(path)
    assert run() == 0
    assert (
        "  advice   for the rare class ring: train with --crop rare, --class_weights median_frequency or a --loss such "
        "as focal+dice\n"
    ) in capsys.readouterr().out


def test_only_the_splits_of_a_folder_can_be_chosen_anew(capsys):
    assert main(["--data", "camvid", "--root", ".", "--split", "stratified"]) == 2
    assert "data set 'camvid' has splits of its own; drop --split" in capsys.readouterr().err


def test_only_a_folder_can_be_repaired(capsys):
    assert main(["--data", "camvid", "--fix", "fixed"]) == 2
    assert "fix mends a data set of the kind folder, and data is camvid; drop --fix" in capsys.readouterr().err
