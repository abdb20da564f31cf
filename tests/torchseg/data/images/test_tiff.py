from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchseg.data.images.tiff import TiffHeader

BANDS = np.random.default_rng(0).integers(0, 65536, (9, 11, 5))  # (H, W, C)


def write_tiff(path: Path, values: np.ndarray, *, order: str = "<", **options) -> None:
    """An uncompressed or deflated TIFF of `(H, W, C)` values.

    Args:
        path: of the file.
        values: of any number format.
        order: of the bytes.
        options: `deflate`, `planar` and `tile` (its side) change the storage, `predictor` is 2 or 3, and `extra` says
            what the bands beyond the colours are.
    """
    height, width, channels = values.shape
    planes = [values[..., at : at + 1] for at in range(channels)] if options.get("planar") else [values]
    side = int(options.get("tile", 0))
    parts = [part for plane in planes for part in (_tiles(plane, side) if side else [plane[:5], plane[5:]])]
    parts = [part.astype(values.dtype.newbyteorder(order)) for part in parts if part.size]
    codes = [_codes(part, options.get("predictor", 1)) for part in parts]
    data = [zlib.compress(code) if options.get("deflate") else code for code in codes]
    colours = 3 if channels in (3, 4) else 1
    tags = {256: [width], 257: [height], 258: [values.dtype.itemsize * 8] * channels, 277: [channels]}
    tags |= {259: [8 if options.get("deflate") else 1], 262: [2 if colours == 3 else 1]}
    tags |= {284: [2 if options.get("planar") else 1]}
    tags |= {317: [options.get("predictor", 1)], 339: [{"u": 1, "i": 2, "f": 3}[values.dtype.kind]] * channels}
    if channels > colours:
        tags[338] = options.get("extra", [0] * (channels - colours))
    starts = list(np.cumsum([8, *map(len, data[:-1])]))
    sizes = list(map(len, data))
    tags |= {322: [side], 323: [side], 324: starts, 325: sizes} if side else {273: starts, 278: [5], 279: sizes}
    path.write_bytes(_file(tags, b"".join(data), order))


def _tiles(plane: np.ndarray, side: int) -> list[np.ndarray]:
    tiles = []
    for top in range(0, plane.shape[0], side):
        for left in range(0, plane.shape[1], side):
            part = plane[top : top + side, left : left + side]
            tiles.append(np.pad(part, [(0, side - part.shape[0]), (0, side - part.shape[1]), (0, 0)]))
    return tiles


def _codes(part: np.ndarray, predictor: object) -> bytes:
    if predictor == 2:
        return np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1])).astype(part.dtype).tobytes()
    if predictor == 3:
        values = np.ascontiguousarray(part.astype(part.dtype.newbyteorder(">")))
        split = values.view(np.uint8).reshape(part.shape[0], -1, part.dtype.itemsize).transpose(0, 2, 1)
        rows = split.reshape(part.shape[0], -1, part.shape[2])
        return np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1])).astype(np.uint8).tobytes()
    return part.tobytes()


def _file(tags: dict, data: bytes, order: str) -> bytes:
    """Header, data, then the values of long tags, then the directory."""
    entries, blob, start = b"", b"", 8 + len(data)
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *(int(each) for each in values))
        place = packed if len(values) == 1 else struct.pack(f"{order}I", start + len(blob))
        blob += b"" if len(values) == 1 else packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + place
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start + len(blob))
    return head + data + blob + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("number", [np.uint8, np.uint16, np.int16, np.uint32, np.float32])
@pytest.mark.parametrize("channels", [2, 3, 4, 5])
def test_every_band_is_read_at_its_depth(tmp_path, channels, number, order):
    values = BANDS[..., :channels].astype(number)
    write_tiff(tmp_path / "a.tif", values, order=order)
    header = TiffHeader(tmp_path / "a.tif")
    assert (header.height, header.width, header.samples) == (9, 11, channels)
    assert header.dtype == np.dtype(number).newbyteorder(order)
    np.testing.assert_array_equal(header.read(), values)


@pytest.mark.parametrize(
    "storage",
    [
        {"deflate": True},
        {"planar": True},
        {"tile": 4},
        {"tile": 4, "planar": True, "deflate": True},
        {"predictor": 2},
        {"predictor": 2, "tile": 8},
    ],
)
def test_every_storage_gives_the_same_values(tmp_path, storage):
    values = BANDS.astype(np.uint16)
    write_tiff(tmp_path / "a.tif", values, **storage)
    np.testing.assert_array_equal(TiffHeader(tmp_path / "a.tif").read(), values)


@pytest.mark.parametrize("channels", [1, 3])
def test_floats_as_differences_are_read(tmp_path, channels):
    values = (BANDS[..., :channels] / 7).astype(np.float32)
    write_tiff(tmp_path / "a.tif", values, predictor=3)
    np.testing.assert_array_equal(TiffHeader(tmp_path / "a.tif").read(), values)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "raw"])
def test_compressions_that_pillow_knows_are_read(tmp_path, compression):
    values = BANDS[..., 0].astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(TiffHeader(tmp_path / "a.tif").read()[..., 0], values)


@pytest.mark.parametrize(
    ("channels", "number", "ours"),
    [(1, np.uint8, False), (3, np.uint8, False), (4, np.uint8, True), (3, np.uint16, True)],
)
def test_pillow_keeps_what_it_reads_right(tmp_path, channels, number, ours):
    write_tiff(tmp_path / "a.tif", BANDS[..., :channels].astype(number))
    assert TiffHeader(tmp_path / "a.tif").is_ours == ours


def test_a_fourth_band_may_be_transparency(tmp_path):
    write_tiff(tmp_path / "a.tif", BANDS[..., :4].astype(np.uint16), extra=[2])
    assert TiffHeader(tmp_path / "a.tif").has_alpha


def test_half_a_file_is_named(tmp_path):
    write_tiff(tmp_path / "a.tif", BANDS.astype(np.uint16))
    header = TiffHeader(tmp_path / "a.tif")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    (tmp_path / "a.tif").write_bytes(data[:400])
    with pytest.raises(ValueError, match=r"cannot read the image .*a\.tif: .*truncated"):
        header.read()
    with pytest.raises(ValueError, match=r"cannot read the image .*a\.tif"):
        TiffHeader(tmp_path / "a.tif")


@pytest.mark.parametrize("size", [(11, 9), (5, 4)])
def test_a_second_image_of_the_same_size_is_refused_and_a_thumbnail_is_not(tmp_path, size):
    image = Image.fromarray(BANDS[..., :3].astype(np.uint8))
    image.save(tmp_path / "image.tif", save_all=True, append_images=[image.resize(size)])
    if size == image.size:
        with pytest.raises(ValueError, match=r"cannot read the image .*image.tif: it holds several images \(pages or"):
            TiffHeader(tmp_path / "image.tif")
    else:
        assert (TiffHeader(tmp_path / "image.tif").height, image.height) == (9, 9)
