from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.datasets.folder import folder


def _fill(write_pair, count=40, **options):
    for number in range(count):
        write_pair(f"picture{number}", **options)


def test_parts_cover_all_pictures_once(write_pair, tmp_path):
    _fill(write_pair)
    data = folder(tmp_path)
    names = [sample.name for part in (data.train, data.validation, data.test) for sample in part]
    assert sorted(names) == sorted(f"picture{number}" for number in range(40))


def test_adding_pictures_moves_no_old_one(write_pair, tmp_path):
    _fill(write_pair)
    before = {sample.name for sample in folder(tmp_path).test}
    for number in range(40, 60):
        write_pair(f"picture{number}")
    assert before <= {sample.name for sample in folder(tmp_path).test}


def test_classes_are_counted_where_no_list_names_them(write_pair, tmp_path):
    _fill(write_pair, values=(0, 2, 255))
    assert folder(tmp_path).classes == ("class_0", "class_1", "class_2")


def test_coloured_masks_follow_the_list(write_pair, tmp_path):
    _fill(write_pair)
    (tmp_path / "classes.txt").write_text("the road 804080\nsky 4682B4\n")
    colours = np.array([[0x80, 0x40, 0x80], [0x46, 0x82, 0xB4], [0, 0, 0]], np.uint8)
    chosen = np.random.default_rng(0).integers(0, 3, (12, 16))
    for mask in (tmp_path / "masks").iterdir():
        Image.fromarray(colours[chosen]).save(mask)
    data = folder(tmp_path)
    assert data.classes == ("the road", "sky")
    assert np.array_equal(data.train[0].mask, np.array([0, 1, 255], np.uint8)[chosen])


def test_a_colour_that_no_line_names_is_refused(write_pair, tmp_path):
    _fill(write_pair)
    (tmp_path / "classes.txt").write_text("road 804080\nsky 4682B4\n")
    for mask in (tmp_path / "masks").iterdir():
        Image.new("RGB", (16, 12), (1, 2, 3)).save(mask)
    with pytest.raises(ValueError, match=r"mask .*\.png: it holds the colour 010203, which classes.txt does not name"):
        folder(tmp_path).train[0]


def test_a_picture_without_mask_is_named(write_pair, tmp_path):
    _fill(write_pair)
    (tmp_path / "masks" / "picture7.png").unlink()
    with pytest.raises(ValueError, match=r"image .*picture7.jpg has no mask: expected .*picture7.png"):
        folder(tmp_path)


def test_a_mask_of_another_size_is_named_with_both_sizes(write_pair, tmp_path):
    _fill(write_pair)
    write_pair("picture7", mask_size=(10, 16))
    with pytest.raises(ValueError, match=r"picture7.png is 10x16 but its image .*picture7.jpg is 12x16"):
        folder(tmp_path)


def test_a_value_outside_the_classes_is_named(write_pair, tmp_path):
    _fill(write_pair, values=(0, 1, 7))
    (tmp_path / "classes.txt").write_text("road\nsky\n")
    with pytest.raises(ValueError, match=r"mask .*: it holds the value 7, but the classes are 0 to 1 \(road, sky\)"):
        folder(tmp_path).train[0]


def test_a_truncated_jpeg_is_named(write_pair, tmp_path):
    _fill(write_pair)
    data = folder(tmp_path)
    victim, _ = data.train.pairs[0]
    victim.write_bytes(victim.read_bytes()[:-60])
    with pytest.raises(ValueError, match=rf"cannot read the image .*{victim.name}: .*truncated"):
        data.train[0]


def test_too_few_pictures_are_refused(write_pair, tmp_path):
    write_pair("one")
    with pytest.raises(ValueError, match=r"has 1 images and none for \w+; add more"):
        folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder .*images; expected one with images"):
        folder(tmp_path)


def test_lists_take_the_place_of_the_rule(write_pair, tmp_path):
    _fill(write_pair, count=3)
    for number, part in enumerate(("train", "validation", "test")):
        (tmp_path / f"{part}.txt").write_text(f"picture{number}\n")
    data = folder(tmp_path)
    assert [part[0].name for part in (data.train, data.validation, data.test)] == ["picture0", "picture1", "picture2"]
    assert tmp_path / "test.txt" in data.files
    (tmp_path / "test.txt").write_text("pictur2\n")
    with pytest.raises(ValueError, match=r"test.txt names 'pictur2', but images/ has no such image \(did you mean"):
        folder(tmp_path)
    (tmp_path / "test.txt").unlink()
    with pytest.raises(ValueError, match="list the images of all three splits, or of none"):
        folder(tmp_path)
