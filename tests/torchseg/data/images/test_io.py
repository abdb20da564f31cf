from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.file_samples import UnlabelledPictures
from torchseg.data.images.reader import RGB


def test_a_turned_camera_picture_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=exif)
    assert RGB.read(tmp_path / "turned.jpg")[0].shape == (20, 10, 3)
    assert RGB.size(tmp_path / "turned.jpg") == (20, 10)


@pytest.mark.parametrize(("orientation", "full"), [(1, (40, 83)), (6, (83, 40))])
def test_a_jpeg_is_decoded_no_larger_than_need_be(tmp_path, orientation, full):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.radial_gradient("L").resize((83, 40)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    half = tuple((side + 1) // 2 for side in full)
    picture, size = RGB.read(tmp_path / "a.jpg", lambda height, width: (height // 3, width // 3))
    assert (picture.shape, size) == ((*half, 3), full)
    shrunk = Image.fromarray(RGB.read(tmp_path / "a.jpg")[0]).resize(half[::-1], Image.Resampling.BOX)
    assert np.abs(picture - np.asarray(shrunk, float)).mean() < 1.5


def test_a_jpeg_is_decoded_in_full_where_half_would_not_do(tmp_path):
    Image.new("RGB", (80, 40)).save(tmp_path / "a.jpg")
    assert RGB.read(tmp_path / "a.jpg", lambda height, width: (height // 2 + 1, width // 2))[0].shape == (40, 80, 3)


def test_a_picture_that_is_too_large_to_be_true_is_named(tmp_path, monkeypatch):
    Image.new("RGB", (20, 10)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(ValueError, match=r"cannot read the image .*huge\.png: .*exceeds limit"):
        RGB.read(tmp_path / "huge.png")


def test_a_text_file_is_no_picture(tmp_path):
    (tmp_path / "note.jpg").write_text("hello")
    with pytest.raises(ValueError, match=r"cannot read the image .*note.jpg"):
        RGB.read(tmp_path / "note.jpg")


def test_unlabelled_pictures_are_ignored_everywhere(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg")
    samples = UnlabelledPictures(tmp_path)
    assert len(samples) == 1
    assert (samples[0].mask == 255).all()
    assert samples[0].mask.shape == (6, 8)


def test_the_size_of_a_truncated_png_names_the_file(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"cannot read the image .*cut.png: .*truncated"):
        RGB.size(tmp_path / "cut.png")


def test_a_picture_whose_name_is_no_text_is_refused(tmp_path):
    path = tmp_path / "a\udcff.png"  # the byte 255, as Python hides it
    with pytest.raises(ValueError, match="has bytes that are not utf-8, the encoding of this locale; rename it"):
        RGB.size(path)
