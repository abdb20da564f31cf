from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.images.orientation import check_orientation


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
    assert "1 images have an EXIF orientation" in caplog.text
    assert "a.jpg" in caplog.text
    caplog.clear()
    check_orientation(pair(tmp_path, 3, (10, 20)), "ignore")
    check_orientation(pair(tmp_path, 1, (10, 20)), "apply")
    assert not caplog.records
