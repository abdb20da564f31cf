"""Data sets in the layout of Pascal VOC: lists as tools write them, and files with any ending."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from torchseg.data import open_data

LISTS = "VOC2012/ImageSets/Segmentation"


@pytest.fixture
def root(annotated, tmp_path):
    annotated.write["voc"](tmp_path / "set")
    return tmp_path / "set"


def _parts(root, annotated):
    """Numbers of the images of each split; masks must be those of their images."""
    data = open_data("voc", root, size=(8, 8))
    numbers = []
    for part in (data.train, data.validation, data.test):
        numbers.append([int(sample.name[1:3]) for sample in part])
        for sample, number in zip(part, numbers[-1], strict=True):
            expected = np.array([0, 7, 15], np.uint8)[annotated.mask_of(number)]
            assert np.array_equal(sample.mask[sample.mask != 255], expected[sample.mask != 255])
    return numbers


@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        ("{}.jpg\r\n", "utf-8-sig"),
        ("{}  1\n", "utf-8"),
        ("# an image\n\n{}\n", "utf-16"),
        ("/JPEGImages/{0}.jpg /SegmentationClass/{0}.png\n", "utf-8"),
        ("VOC2012\\JPEGImages\\{}.JPG\n", "utf-8"),
    ],
)
def test_lists_are_read_as_tools_write_them(root, annotated, line, encoding):
    expected = _parts(root, annotated)
    for path in (root / LISTS).glob("*.txt"):
        path.write_text("".join(map(line.format, path.read_text().split())), encoding=encoding, newline="")
    assert _parts(root, annotated) == expected


@pytest.mark.parametrize("place", ["Main", "."])
def test_lists_of_splits_count_beside_lists_of_classes(root, annotated, place):
    expected = _parts(root, annotated)
    sets = root / "VOC2012/ImageSets"
    for path in (root / LISTS).glob("*.txt"):
        (sets / place).mkdir(exist_ok=True)
        shutil.move(path, sets / place / path.name)
    (sets / place / "car_train.txt").write_text("p00 1\np01 -1\n")
    assert _parts(root, annotated) == expected


def test_files_may_have_any_ending_in_any_case(root, annotated):
    expected = _parts(root, annotated)
    for number, path in enumerate(sorted((root / "VOC2012/JPEGImages").iterdir())):
        Image.open(path).save(path.with_suffix((".JPEG", ".PNG", ".tif")[number % 3]))
        path.unlink()
    for path in list((root / "VOC2012/SegmentationClass").iterdir()):
        path.rename(path.with_suffix(".PNG"))
    assert _parts(root, annotated) == expected


def test_images_of_one_name_in_two_folders_stay_two(root, annotated):
    voc = root / "VOC2012"
    for folder, ending in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        for day, number in (("monday", 0), ("tuesday", 25)):
            (voc / folder / day).mkdir()
            shutil.move(voc / folder / f"p{number:02d}.{ending}", voc / folder / day / f"x.{ending}")
    for name, old, new in (("train", "p00", "monday/x"), ("val", "p25", "tuesday/x")):
        path = root / LISTS / f"{name}.txt"
        path.write_text(path.read_text().replace(old, new))
    data = open_data("voc", root, size=(8, 8))
    names = [sample.name for part in (data.train, data.validation, data.test) for sample in part]
    assert {"monday_x", "tuesday_x"} < set(names)
    assert len(set(names)) == annotated.count


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("p00.JPG", r"train\.txt and val\.txt in .* both name 1 image, first 'p00'"),
        ("p99", r"val\.txt names 'p99', but JPEGImages/ has no such image"),
        ("p98", r"there is no .*SegmentationClass/p98\.png, and .*val\.txt names 'p98'; add it"),
        ("JPEGImages/p20.jpg SegmentationClass/p21.png", r"names the image p20\.jpg and something of another image"),
    ],
)
def test_a_line_that_cannot_be_right_is_named(root, line, message):
    shutil.copy(root / "VOC2012/JPEGImages/p00.jpg", root / "VOC2012/JPEGImages/p98.jpg")
    with (root / LISTS / "val.txt").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ValueError, match=message):
        open_data("voc", root, size=(8, 8))
