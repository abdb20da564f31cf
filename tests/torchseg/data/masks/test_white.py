from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.datasets.folder import folder
from torchseg.data.repair import repair_folder


@pytest.fixture
def write(write_pair, tmp_path):
    """Thirty images; each even mask is what `first` makes of the classes 0 and 1, each odd one what `second` makes."""

    def run(first, second):
        for number in range(30):
            write_pair(f"p{number:02d}")
            image = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / f"images/p{number:02d}.jpg")
            path = tmp_path / f"masks/p{number:02d}.png"
            classes = np.array(Image.open(path))
            (second if number % 2 else first)(classes).save(path)

    return run


def _one_bit(classes):
    return Image.fromarray(classes.astype(bool))


def _white(classes):
    return Image.fromarray(classes * np.uint8(255))


def _masks(root, **options):
    data = folder(root, **options)
    return {sample.name: sample.mask for part in (data.train, data.validation, data.test) for sample in part}


@pytest.mark.parametrize("text", [None, "sky\ncar\n"])
@pytest.mark.parametrize("other", [_white, lambda classes: _white(classes).convert("RGB"), Image.fromarray])
def test_white_of_one_bit_is_the_object_beside_masks_of_0_and_255_or_1(write, tmp_path, text, other):
    write(Image.fromarray, Image.fromarray)
    expected = _masks(tmp_path)
    write(_one_bit, other)
    if text:
        (tmp_path / "classes.txt").write_text(text)
    found = _masks(tmp_path)
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


def test_a_repaired_copy_reads_white_of_one_bit_as_the_object(write, tmp_path):
    write(Image.fromarray, Image.fromarray)
    expected = _masks(tmp_path)
    write(_one_bit, _white)
    repair_folder(tmp_path, tmp_path / "copy")
    found = _masks(tmp_path / "copy")
    assert all(np.array_equal(found[name], mask) for name, mask in expected.items())


def test_a_repaired_copy_does_not_ignore_255_where_it_seems_to_mean_1(write, tmp_path):
    write(Image.fromarray, _white)
    with pytest.raises(ValueError, match="holds no value but 0 and 255, and mask"):
        repair_folder(tmp_path, tmp_path / "copy")
