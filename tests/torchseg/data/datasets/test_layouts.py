"""Data sets of annotation tools and benchmarks whose files were moved, renamed or exported by another version."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from torchseg.data import open_data, write_folder
from torchseg.data.images import bands
from torchseg.data.images.reader import ANY, ImageReader

NUMBERS = {"cityscapes": (0, 13, 11), "voc": (0, 7, 15)}


@pytest.fixture
def write(annotated, tmp_path):
    """Writes the data set of this name, and returns its folder."""

    def writer(name):
        (tmp_path / "set").mkdir()
        annotated.write[name](tmp_path / "set")
        return tmp_path / "set"

    return writer


def _check(name, root, annotated, count=None, images=ANY):
    """Every mask must be what was annotated."""
    data = open_data(name, root, size=(8, 8), images=images)
    numbers, seen = np.array(NUMBERS.get(name, (0, 1, 2)), np.uint8), set()
    for part in (data.train, data.validation, data.test):
        for sample in part:
            number = int(re.search(r"(?:p|_0*)(\d{1,2})(?:_|$)", sample.name)[1])
            known = sample.mask != 255
            assert known.mean() > 0.99
            assert np.array_equal(sample.mask[known], numbers[annotated.mask_of(number)][known])
            seen.add(number)
    assert len(seen) == (count or annotated.count)
    return data


def _rename(root, pattern, new):
    for path in list(root.rglob(pattern)):
        target = root / new(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


@pytest.mark.parametrize("name", ["ade20k", "cityscapes", "cvat", "labelme", "roboflow"])
def test_endings_in_capitals_change_nothing(write, annotated, name):
    root = write(name)
    for ending in ("jpg", "png"):
        _rename(root, f"*.{ending}", lambda path: path.with_suffix(path.suffix.upper()))
    _check(name, root, annotated)


def test_both_archives_of_cityscapes_may_be_unpacked_into_their_own_folders(write, annotated):
    root = write("cityscapes")
    for folder in ("leftImg8bit", "gtFine"):
        (root / folder).rename(root / "moved")
        (root / f"{folder}_trainvaltest").mkdir()
        (root / "moved").rename(root / f"{folder}_trainvaltest" / folder)
    _check("cityscapes", root, annotated)


def test_ade20k_may_have_no_folders_for_splits(write, annotated):
    root = write("ade20k")
    for folder in ("images", "annotations"):
        _rename(root / folder, "*/*", lambda path: path.name)
        for inner in list((root / folder).iterdir()):
            if inner.is_dir():
                inner.rmdir()
    data = _check("ade20k", root, annotated)
    assert min(len(data.train), len(data.validation), len(data.test)) > 0


def test_roboflow_may_have_one_folder_and_a_list_with_semicolons(write, annotated):
    root = write("roboflow")
    _rename(root, "*/*", lambda path: path.name)
    (root / "_classes.csv").write_text("\ufeffPixel Value;Class\r\n0;background\r\n1;car\r\n2;person\r\n")
    _check("roboflow", root, annotated)


def test_images_of_roboflow_without_mask_are_counted(write, annotated):
    root = write("roboflow")
    (root / "train/p00_mask.png").unlink()
    assert _check("roboflow", root, annotated, 29).notes == ("1 image has no mask and is left out",)


@pytest.mark.parametrize("written", ["C:\\Users\\me\\{}", "/home/me/data/{}", "..\\images\\{}"])
@pytest.mark.parametrize("apart", [False, True])
def test_images_of_labelme_are_found_where_people_move_them(write, annotated, written, apart):
    root = write("labelme")
    for path in list(root.glob("*.json")):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"imagePath": written.format(content["imagePath"])}))
    if apart:
        _rename(root, "*.json", lambda path: f"json/{path.name}")
        _rename(root, "*.png", lambda path: f"images/{path.name}")
    _check("labelme", root, annotated)


@pytest.mark.parametrize("kind", ["rectangle", "rotation"])
def test_rectangles_of_four_corners_are_drawn(write, annotated, kind):
    root = write("labelme")
    for path in root.glob("*.json"):
        content = json.loads(path.read_text())
        (left, top), (right, bottom) = content["shapes"][1]["points"]
        corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
        content["shapes"][1] |= {"shape_type": kind, "points": corners}
        path.write_text(json.dumps(content))
    _check("labelme", root, annotated)


def test_two_annotations_of_one_image_are_refused(write):
    root = write("labelme")
    path = root / "p00.json"
    path.write_text(path.read_text().replace("p00.png", "other/p01.png"))
    with pytest.raises(
        ValueError, match=r"p01\.json is for the image .*p01\.png, and so is another annotation; remove"
    ):
        open_data("labelme", root, size=(8, 8))


def test_images_of_cvat_may_lie_in_folders_of_windows(write, annotated):
    root = write("cvat")
    path = root / "annotations.xml"
    path.write_text(path.read_text().replace('name="p', 'name="day\\p'))
    _check("cvat", root, annotated)
    _rename(root, "*.png", lambda each: f"images/day/{each.name}")
    _check("cvat", root, annotated)


@pytest.mark.parametrize("name", ["ade20k", "roboflow"])
def test_images_of_one_name_in_two_splits_are_not_mixed_up_in_a_copy(write, name, tmp_path):
    root = write(name)
    for mask in ("p00_mask", "p01_mask") if name == "roboflow" else ("p00", "p29"):
        for path in list(root.rglob(f"{mask.removesuffix('_mask')}*.*")):
            path.rename(path.with_name(path.name.replace(mask.removesuffix("_mask"), "same")))
    data = open_data(name, root, size=(8, 8))
    samples = {sample.name: sample for part in (data.train, data.validation, data.test) for sample in part}
    assert len(samples) == 30
    write_folder(data, tmp_path / "copy", size=(32, 32))
    copy = open_data("folder", tmp_path / "copy", size=(8, 8))
    for part in (copy.train, copy.validation, copy.test):
        for sample in part:
            assert np.array_equal(sample.mask, samples[sample.name].mask)


@pytest.mark.parametrize("name", ["ade20k", "cityscapes", "labelme", "roboflow"])
def test_images_that_stand_on_their_heads_are_named(write, annotated, name, caplog):
    root, exif = write(name), Image.Exif()
    exif[0x0112] = 3
    path = next(
        each for each in sorted(root.rglob("*p00*.*")) + sorted(root.rglob("*_leftImg8bit.png")) if _is_image(each)
    )
    Image.open(path).save(path, exif=exif)
    open_data(name, root, size=(8, 8))
    assert f"1 image has an EXIF orientation and is turned or mirrored by it, and the masks are not ({path})" in (
        caplog.text
    )
    caplog.clear()
    open_data(name, root, size=(8, 8), images=ImageReader(exif="ignore"))
    assert not caplog.text


def _is_image(path):
    return path.suffix in (".jpg", ".png") and not path.stem.endswith("_mask") and "annotations" not in path.parts


@pytest.mark.parametrize(
    ("name", "masks"),
    [
        ("ade20k", "annotations/training/p00.png"),
        ("cityscapes", "gtFine/train/city0/*.png"),
        ("roboflow", "train/p00_mask.png"),
        ("voc", "VOC2012/SegmentationClass/p00.png"),
    ],
)
def test_a_mask_with_an_orientation_of_its_own_is_read_as_stored_or_not_at_all(write, annotated, name, masks):
    root, exif = write(name), Image.Exif()
    exif[0x0112] = 3
    mask = sorted(root.glob(masks))[0]
    Image.open(mask).save(mask, exif=exif)
    with pytest.raises(ValueError, match=rf"{re.escape(str(mask))} has an EXIF orientation \(3\) of its own"):
        open_data(name, root, size=(8, 8))
    _check(name, root, annotated, images=ImageReader(exif="ignore"))


@pytest.mark.parametrize("name", ["ade20k", "cityscapes", "roboflow", "voc"])
def test_the_header_of_an_image_is_read_once(write, annotated, name, monkeypatch):
    root, read, opened = write(name), Counter(), bands.opened
    monkeypatch.setattr(bands, "opened", lambda path: (read.update([path]), opened(path))[1])
    open_data(name, root, size=(8, 8))
    assert set(read.values()) == {1}
    assert len(read) == annotated.count
