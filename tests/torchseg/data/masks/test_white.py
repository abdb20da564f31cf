from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.datasets.folder import folder
from torchseg.data.repair import repair_folder


@pytest.fixture
def write(write_pair):
    """Thirty images; each even mask is what `first` makes of the classes 0 and 1, each odd one what `second` makes."""

    def run(first, second):
        for number in range(30):
            write_pair(f"p{number:02d}", seed=number, save=second if number % 2 else first)

    return run


def _one_bit(classes):
    return Image.fromarray(classes.astype(bool))


def _white(classes):
    return Image.fromarray(classes * np.uint8(255))


@pytest.mark.parametrize("text", [None, "sky\ncar\n"])
@pytest.mark.parametrize("other", [_white, lambda classes: _white(classes).convert("RGB"), Image.fromarray])
def test_white_of_one_bit_is_the_object_beside_masks_of_0_and_255_or_1(write, masks_by_name, tmp_path, text, other):
    write(Image.fromarray, Image.fromarray)
    expected = masks_by_name(folder(tmp_path))
    write(_one_bit, other)
    if text:
        (tmp_path / "classes.txt").write_text(text)
    found = masks_by_name(folder(tmp_path))
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())


@pytest.mark.parametrize("text", [None, "sky\nperson\ncar\n"])
def test_white_of_one_bit_is_refused_where_other_masks_ignore_255(write, tmp_path, text):
    def with_border(classes):
        stored = classes * np.uint8(2)
        stored[0], stored[1] = 255, 1
        return Image.fromarray(stored)

    write(_one_bit, with_border)
    if text:
        (tmp_path / "classes.txt").write_text(text)
    message = (
        r"mask .*p00\.png has one bit per pixel, and its white may mean 1 or 255, which is ignored in mask .*p01\.png"
    )
    with pytest.raises(ValueError, match=message):
        folder(tmp_path)
    with pytest.raises(ValueError, match=message):
        repair_folder(tmp_path, tmp_path / "copy")


def test_a_repaired_copy_reads_white_of_one_bit_as_the_object(write, masks_by_name, tmp_path):
    write(Image.fromarray, Image.fromarray)
    expected = masks_by_name(folder(tmp_path))
    write(_one_bit, _white)
    repair_folder(tmp_path, tmp_path / "copy")
    found = masks_by_name(folder(tmp_path / "copy"))
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())


def test_a_repaired_copy_does_not_ignore_255_where_it_seems_to_mean_1(write, tmp_path):
    write(Image.fromarray, _white)
    with pytest.raises(ValueError, match="holds no value but 0 and 255, and mask"):
        repair_folder(tmp_path, tmp_path / "copy")


@pytest.mark.parametrize("text", [None, "sky\ncar\n"])
def test_white_of_a_palette_is_the_object_whatever_its_number(write, masks_by_name, tmp_path, text):
    def on_the_web(classes):
        return _white(classes).convert("RGB").convert("P")

    write(Image.fromarray, Image.fromarray)
    expected = masks_by_name(folder(tmp_path))
    write(on_the_web, on_the_web)
    assert np.unique(np.asarray(Image.open(tmp_path / "masks/p00.png"))).tolist() == [0, 225]
    if text:
        (tmp_path / "classes.txt").write_text(text)
    repair_folder(tmp_path, tmp_path / "copy")
    for place in (tmp_path, tmp_path / "copy"):
        found = masks_by_name(folder(place))
        assert all(np.array_equal(found[name], mask) for name, mask in expected.items())


def test_white_among_other_colours_of_a_palette_stays_a_number(write, tmp_path):
    def with_red(classes):
        image = Image.fromarray(classes + np.uint8(1), "P")
        image.putpalette([0, 0, 0, 255, 0, 0, 255, 255, 255])
        return image

    write(with_red, with_red)
    (tmp_path / "classes.txt").write_text("sky\nred\nwhite\n")
    assert set(np.unique(folder(tmp_path).train[0].mask)) == {1, 2}
