from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from tests.torchseg.data.images.test_tiff import write_tiff
from torchseg.data.file_samples import check_pair
from torchseg.data.images.bands import upright
from torchseg.data.images.orientation import check_orientation
from torchseg.data.images.reader import ImageReader


def pair(folder, orientation, mask_size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (20, 10)).save(folder / "a.jpg", exif=exif)
    Image.fromarray(np.zeros(mask_size, np.uint8)).save(folder / "a.png")
    return [(folder / "a.jpg", folder / "a.png")]


@pytest.mark.parametrize(
    ("exif", "mask_size", "advice"),
    [("apply", (10, 20), "--exif ignore reads the image as stored"), ("ignore", (20, 10), "leave --exif ignore out")],
)
def test_a_mask_that_fits_only_the_other_way_round_is_a_fault(tmp_path, exif, mask_size, advice):
    with pytest.raises(ValueError, match=rf"a\.png is .* but its image .*a\.jpg is .*orientation \(6\).*{advice}"):
        check_orientation(pair(tmp_path, 6, mask_size), exif)


@pytest.mark.parametrize(("exif", "mask_size"), [("apply", (20, 10)), ("ignore", (10, 20))])
def test_a_mask_of_the_right_size_is_none(tmp_path, exif, mask_size, caplog):
    check_orientation(pair(tmp_path, 6, mask_size), exif)
    assert not caplog.records


def test_what_the_sizes_cannot_tell_is_a_warning(tmp_path, caplog):
    check_orientation(pair(tmp_path, 3, (10, 20)), "apply")
    assert "1 image has an EXIF orientation" in caplog.text
    assert "a.jpg" in caplog.text
    caplog.clear()
    check_orientation(pair(tmp_path, 3, (10, 20)), "ignore")
    check_orientation(pair(tmp_path, 1, (10, 20)), "apply")
    assert not caplog.records


def test_a_mask_with_an_orientation_of_its_own_is_refused(tmp_path):
    pairs = pair(tmp_path, 6, (20, 10))
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.zeros((20, 10), np.uint8)).save(tmp_path / "a.png", exif=exif)
    with pytest.raises(ValueError, match=r"a\.png has an EXIF orientation \(3\) of its own; save .*: --exif ignore"):
        check_orientation(pairs, "apply")
    Image.fromarray(np.zeros((10, 20), np.uint8)).save(tmp_path / "a.png", exif=exif)
    check_orientation(pairs, "ignore")


def test_a_mask_that_fits_only_as_it_looks_is_not_one_of_another_size(tmp_path):
    ((picture, mask),) = pair(tmp_path, 1, (20, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((20, 10), np.uint8)).save(mask, exif=exif)
    with pytest.raises(
        ValueError, match=r"a\.png fits its image .*a\.jpg only if its EXIF orientation \(6\) is applied"
    ):
        check_pair(picture, mask)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_tiff_is_read_upright_or_as_stored(tmp_path, orientation, depth):
    stored = np.arange(3 * 5 * 3).reshape(3, 5, 3).astype(depth)
    path = tmp_path / "a.tif"
    write_tiff(path, stored)
    with path.open("r+b") as file:  # the entry of the bands becomes that of the orientation, and that of the rows stays
        content = file.read()
    content = content.replace(struct.pack("<HHII", 284, 4, 1, 1), struct.pack("<HHII", 274, 4, 1, orientation))
    path.write_bytes(content)
    for exif, expected in (("apply", upright(stored, orientation)), ("ignore", stored)):
        reader = ImageReader(exif=exif, value_range=(0, 255))
        picture, size = reader.read(path)
        assert size == reader.size(path) == expected.shape[:2]
        np.testing.assert_array_equal(picture, expected)
