from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from tests.torchseg.data.images.test_tiff import write_tiff
from torchseg.data.images.bands import read_bands, read_header, reading, upright

VALUES = np.random.default_rng(0).integers(0, 65536, (5, 7, 4)).astype(np.uint16)  # (H, W, C)


def write_png16(path: Path, values: np.ndarray) -> None:
    """A PNG of 16 bits per value, of uint16 `(H, W, C)` with 2, 3 or 4 channels."""
    height, width, channels = values.shape
    kind = {2: 4, 3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    packed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


@pytest.mark.parametrize("channels", [3, 4])
def test_a_png_of_sixteen_bits_keeps_them(tmp_path, channels):
    write_png16(tmp_path / "a.png", VALUES[..., :channels])
    header = read_header(tmp_path / "a.png")
    bands, alpha = read_bands(tmp_path / "a.png", header)
    assert (header.height, header.width, header.count, header.dtype) == (5, 7, 3, "uint16")
    np.testing.assert_array_equal(bands, VALUES[..., :3])
    if channels == 4:
        np.testing.assert_array_equal(alpha, VALUES[..., 3])
    else:
        assert alpha is None


def test_a_grey_png_of_sixteen_bits_with_transparency_is_one_band(tmp_path):
    write_png16(tmp_path / "a.png", VALUES[..., :2])
    header = read_header(tmp_path / "a.png")
    bands, alpha = read_bands(tmp_path / "a.png", header)
    assert header.count == 1
    np.testing.assert_array_equal(bands[..., 0], VALUES[..., 0] >> 8)
    np.testing.assert_array_equal(alpha, VALUES[..., 1] >> 8)


@pytest.mark.parametrize(
    ("mode", "count", "has_alpha"),
    [("1", 1, False), ("L", 1, False), ("LA", 1, True), ("P", 3, False), ("RGB", 3, False), ("RGBA", 3, True)],
)
def test_eight_bit_files_have_the_bands_that_they_show(tmp_path, mode, count, has_alpha):
    picture = (VALUES >> 8).astype(np.uint8)[..., : 4 if has_alpha else 3]
    Image.fromarray(picture).convert(mode).save(tmp_path / "a.png")
    header = read_header(tmp_path / "a.png")
    bands, alpha = read_bands(tmp_path / "a.png", header)
    assert (header.count, header.dtype) == (count, "uint8")
    assert bands.shape == (5, 7, count)
    assert (alpha is not None) == has_alpha


@pytest.mark.parametrize("number", [np.uint8, np.uint16, np.float32])
def test_an_array_is_an_image_of_its_bands(tmp_path, number):
    np.save(tmp_path / "a.npy", VALUES.astype(number))
    header = read_header(tmp_path / "a.npy")
    assert (header.count, header.dtype) == (4, np.dtype(number).name)
    np.testing.assert_array_equal(read_bands(tmp_path / "a.npy", header)[0], VALUES.astype(number))


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 2), bool), np.zeros((0, 2))])
def test_an_array_of_no_image_is_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=r"a\.npy holds .*an image is numbers \(H, W\) or \(H, W, C\)"):
        read_header(tmp_path / "a.npy")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_applied_as_pillow_does(orientation):
    picture = VALUES[..., :3].astype(np.uint8)
    image = Image.fromarray(picture)
    image.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(upright(picture, orientation), np.asarray(ImageOps.exif_transpose(image)))


def _turned_png(path, *, behind):
    """A PNG whose EXIF orientation stands before its pixels, as most writers put it, or behind them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (3, 2)).save(path, exif=exif)
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[start : start + 4], "big")
    if behind:
        path.write_bytes(data[:start] + data[start + length : -12] + data[start : start + length] + data[-12:])


@pytest.mark.parametrize("behind", [False, True])
def test_the_orientation_of_a_png_is_read_before_and_behind_its_pixels(tmp_path, behind):
    _turned_png(tmp_path / "a.png", behind=behind)
    assert read_header(tmp_path / "a.png").orientation == 6


def test_the_header_of_a_png_is_read_without_its_pixels(tmp_path, monkeypatch):
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("the pixels were decoded"))
    assert read_header(tmp_path / "a.png").orientation == 1


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_the_content_tells_the_format_and_not_the_ending(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    if ending == "tif":
        Image.fromarray(VALUES[..., :3].astype(np.uint8)).save(path, format="PNG")
        expected = VALUES[..., :3].astype(np.uint8)
    else:
        write_tiff(path, VALUES[..., :3])
        expected = VALUES[..., :3]
    np.testing.assert_array_equal(read_bands(path, read_header(path))[0], expected)


def test_an_animation_is_no_image(tmp_path):
    frames = [Image.fromarray(VALUES[..., :3].astype(np.uint8) // part) for part in (1, 2)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="it holds several images"):
        read_header(tmp_path / "a.webp")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "it is a HEIC photo, whatever its name says: convert it to JPEG or PNG"),
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "it is a pointer of Git LFS: fetch the file"),
        (b"<!DOCTYPE html><html>404", "it is a web page and no image"),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(tmp_path, content, reason):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=f"cannot read the image .*a.jpg: {reason}"), reading(tmp_path / "a.jpg"):
        read_header(tmp_path / "a.jpg")
