from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchseg.data.images.reader import ANY, ImageReader, grey_or_colours, reader_for

RAMP = np.linspace(0, 1, 24).reshape(4, 6, 1)  # (H, W, 1)


def save(path: Path, values: np.ndarray) -> Path:
    np.save(path, values)
    return path


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_largest_value_of_all_images_tells_the_depth_of_the_sensor(tmp_path, bits):
    most = 2**bits - 1
    paths = [save(tmp_path / f"{at}.npy", np.uint16(RAMP * share * most)) for at, share in enumerate((0.3, 0.9))]
    reader = reader_for(paths, ANY)
    assert reader == ImageReader(channels=1, value_range=(0, most))
    np.testing.assert_allclose(reader.read(paths[1])[0], RAMP * 0.9 * 255, atol=1)


def test_floats_from_0_to_1_need_no_range(tmp_path):
    path = save(tmp_path / "a.npy", np.float32(RAMP))
    np.testing.assert_allclose(reader_for([path], ANY).read(path)[0], RAMP * 255, atol=0.5)


@pytest.mark.parametrize(
    "values", [np.float32(RAMP * 300), np.float32(RAMP - 0.5), np.int16(RAMP * 9), np.float32(np.nan)]
)
def test_other_numbers_need_a_range(tmp_path, values):
    path = save(tmp_path / "a.npy", values + np.zeros((4, 6, 1), values.dtype))
    with pytest.raises(ValueError, match="say which become black and white: --value_range LOW,HIGH"):
        reader_for([path], ANY)
    with pytest.raises(ValueError, match=r"a\.npy has .*--value_range LOW,HIGH"):
        ImageReader(channels=1).read(path)


def test_a_range_is_stretched_to_black_and_white_and_cuts_off_what_lies_beyond(tmp_path):
    path = save(tmp_path / "a.npy", np.array([[-300.0, -100.0, 0.0, 100.0, 300.0]], np.float32))
    reader = reader_for([path], ImageReader(channels=0, value_range=(-100, 100)))
    assert reader.read(path)[0].ravel().tolist() == [0, 0, 128, 255, 255]


def test_images_of_different_bands_or_depths_are_named(tmp_path):
    one, four = save(tmp_path / "one.npy", np.zeros((2, 2, 1))), save(tmp_path / "four.npy", np.zeros((2, 2, 4)))
    deep = save(tmp_path / "deep.npy", np.zeros((2, 2, 1), np.uint16))
    with pytest.raises(ValueError, match=r"one\.npy has 1 channels and .*four\.npy 4; .*--channels 3"):
        reader_for([one, four], ANY)
    assert reader_for([one, four], ImageReader(channels=3)).channels == 3
    with pytest.raises(ValueError, match=r"one\.npy has float64 values and .*deep\.npy uint16"):
        reader_for([one, deep], ANY)


@pytest.mark.parametrize(("count", "channels"), [(1, 1), (1, 3), (1, 4), (3, 1), (3, 3), (4, 4), (13, 13), (13, 3)])
def test_images_have_the_channels_asked_for(tmp_path, count, channels):
    values = np.random.default_rng(0).integers(0, 256, (2, 3, count), dtype=np.uint8)
    picture, size = ImageReader(channels=channels).read(save(tmp_path / "a.npy", values))
    assert (picture.shape, picture.dtype, size) == ((2, 3, channels), np.uint8, (2, 3))
    if count == 3 and channels == 1:
        np.testing.assert_allclose(picture[..., 0], np.asarray(Image.fromarray(values).convert("L")), atol=1)
    else:
        np.testing.assert_array_equal(picture, np.broadcast_to(values[..., :channels], picture.shape))


def test_bands_that_are_not_there_are_not_invented(tmp_path):
    path = save(tmp_path / "a.npy", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"a\.npy has 3 channels and 4 are expected"):
        ImageReader(channels=4).read(path)


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 3), ("LA", 1)])
def test_transparent_pixels_are_black_whatever_they_hide(tmp_path, mode, channels):
    image = Image.new(mode, (2, 1), 200 if mode == "LA" else (200, 200, 200))
    image.putalpha(Image.fromarray(np.array([[0, 255]], np.uint8)))
    image.save(tmp_path / "a.png")
    assert ImageReader(channels=channels).read(tmp_path / "a.png")[0][0].tolist() == [[0] * channels, [200] * channels]


def test_an_orientation_is_applied_or_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
    for how, size in {"apply": (20, 10), "ignore": (10, 20)}.items():
        reader = ImageReader(exif=how)
        assert reader.size(tmp_path / "a.jpg") == size
        assert reader.read(tmp_path / "a.jpg")[0].shape == (*size, 3)


@pytest.mark.parametrize(("channels", "shown"), [(1, [7, 7, 7]), (2, [7, 7, 7]), (3, [7, 8, 9]), (5, [7, 8, 9])])
def test_bands_are_shown_as_colours_or_grey(channels, shown):
    picture = np.arange(7, 7 + channels, dtype=np.uint8).reshape(1, 1, channels)
    assert grey_or_colours(picture)[0, 0].tolist() == shown


def test_grey_images_among_rgb_ones_are_read_as_rgb(tmp_path):
    grey = save(tmp_path / "grey.npy", np.full((2, 2, 1), 7, np.uint8))
    colours = save(tmp_path / "rgb.npy", np.zeros((2, 2, 3), np.uint8))
    reader = reader_for([grey, colours], ANY)
    assert reader.channels == 3
    assert reader.read(grey)[0].tolist() == [[[7, 7, 7]] * 2] * 2
