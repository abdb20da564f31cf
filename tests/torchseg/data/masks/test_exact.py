from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.torchseg.data.images.test_bands import write_png16
from tests.torchseg.data.images.test_tiff import write_tiff
from torchseg.data.masks.io import read_colours, read_header, read_mask

VALUES = np.array([[0, 1, 2], [3, 2, 1]], np.uint8)


def _grey_png(path, values, *, bits):
    """A grey PNG of values `(H, W)` in 2 or 4 bits each."""
    rows = ["".join(f"{value:0{bits}b}" for value in row) for row in values]
    stored = [
        int(f"{row:0<8}"[:8], 2).to_bytes() + bytes([int(f"{row[8:]:0<8}", 2)] if row[8:] else []) for row in rows
    ]
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in stored))), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data)) for tag, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_of_few_bits_holds_the_numbers_of_classes_and_not_shades(tmp_path, bits):
    _grey_png(tmp_path / "mask.png", VALUES, bits=bits)
    assert np.array_equal(read_mask(tmp_path / "mask.png"), VALUES)
    assert read_colours(tmp_path / "mask.png")[0, 1].tolist() == [255 // (2**bits - 1)] * 3


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("factor", [1, 257])
def test_coloured_files_of_16_bits_keep_their_low_bytes(tmp_path, ending, factor):
    stored = np.dstack([VALUES] * 3).astype(np.uint16) * factor
    path = tmp_path / f"mask.{ending}"
    if ending == "png":
        write_png16(path, stored)
    else:
        write_tiff(path, stored)
    assert np.array_equal(read_mask(path), VALUES)
    assert np.array_equal(read_colours(path), np.dstack([VALUES] * 3))


def test_a_file_of_16_bits_with_transparency_is_refused(tmp_path):
    write_png16(tmp_path / "mask.png", np.dstack([VALUES, VALUES]))
    with pytest.raises(ValueError, match=r"mask.png has 16 bits and transparency; save the mask with class numbers"):
        read_mask(tmp_path / "mask.png")


def test_whole_numbers_in_a_float_file_are_classes(tmp_path):
    Image.fromarray(VALUES.astype(np.float32)).save(tmp_path / "mask.tif")
    assert np.array_equal(read_mask(tmp_path / "mask.tif"), VALUES)
    Image.fromarray(VALUES / np.float32(2)).save(tmp_path / "mask.tif")
    with pytest.raises(ValueError, match=r"mask.tif holds the value 0.5; the values of a mask are whole numbers"):
        read_mask(tmp_path / "mask.tif")


def test_white_is_the_lowest_value_of_a_tiff_that_says_so(tmp_path):
    write_tiff(tmp_path / "mask.tif", (65535 - VALUES.astype(np.uint16))[..., None])
    content = bytearray((tmp_path / "mask.tif").read_bytes())
    entry = content.index(struct.pack("<HHI", 262, 4, 1))
    content[entry + 8] = 0
    (tmp_path / "mask.tif").write_bytes(content)
    assert np.array_equal(read_mask(tmp_path / "mask.tif"), VALUES)


@pytest.mark.parametrize("count", [2, 4, 5])
def test_a_tiff_with_a_band_per_class_is_refused(tmp_path, count):
    bands = np.dstack([255 * np.equal(VALUES, number).astype(np.uint8) for number in range(count)])
    write_tiff(tmp_path / "mask.tif", bands)
    with pytest.raises(ValueError, match=rf"mask .*mask.tif has {count} bands; a mask has one value per pixel"):
        (read_mask if count == 4 else read_header)(tmp_path / "mask.tif")


def test_a_fourth_band_that_says_nothing_is_left_out(tmp_path):
    write_tiff(tmp_path / "mask.tif", np.dstack([*[VALUES] * 3, np.full_like(VALUES, 255)]))
    assert np.array_equal(read_mask(tmp_path / "mask.tif"), VALUES)


@pytest.mark.parametrize("ending", ["tif", "gif", "webp"])
def test_a_file_of_several_masks_is_refused(tmp_path, ending):
    layers = [Image.fromarray(255 * np.equal(VALUES, number).astype(np.uint8)) for number in range(3)]
    layers[0].save(tmp_path / f"mask.{ending}", save_all=True, append_images=layers[1:], lossless=True)
    with pytest.raises(ValueError, match=rf"mask.{ending}: it holds several images \(pages or frames\), and only one"):
        read_header(tmp_path / f"mask.{ending}")


@pytest.mark.parametrize(
    ("ending", "options", "lossy"),
    [
        ("png", {"format": "JPEG"}, True),
        ("jpg", {}, True),
        ("webp", {}, True),
        ("webp", {"lossless": True}, False),
        ("webp", {"lossless": True, "icc_profile": bytes(5001)}, False),
        ("tif", {"compression": "jpeg"}, True),
        ("tif", {"compression": "tiff_lzw"}, False),
        ("png", {}, False),
    ],
)
def test_the_format_tells_loss_and_not_the_ending(tmp_path, ending, options, lossy):
    Image.fromarray(np.kron(VALUES, np.ones((8, 8), np.uint8))).save(tmp_path / f"mask.{ending}", **options)
    assert read_header(tmp_path / f"mask.{ending}").is_lossy == lossy
