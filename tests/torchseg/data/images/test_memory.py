"""An image that would take too much memory is refused before it is decoded, and none takes more than was counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchseg.data.images import reader
from torchseg.data.images.bands import read_header
from torchseg.data.images.reader import RGB, ImageReader, _bytes_per_pixel
from torchseg.data.masks.io import _BYTES_PER_PIXEL, read_by_kind
from torchseg.harness.host import peak_memory_mb
from torchseg.processes.child_limits import child_limits

SIDE = 1500
SLACK_MB = 12  # blocks of rows, and what the allocator keeps
_RESET = Path("/proc/self/clear_refs")
_RANDOM = np.random.default_rng(0)


def _values(channels, dtype):
    values = _RANDOM.integers(0, 255, (SIDE, SIDE, channels)).astype(dtype)
    return values / np.float32(255) if dtype == np.float32 else values


def _png(*channels):
    def write(path):
        Image.fromarray(_values(*channels, np.uint8).squeeze()).save(path, compress_level=0)

    return write


def _npy(channels, dtype):
    return lambda path: np.save(path, _values(channels, dtype))


IMAGES = {
    "rgb.png": _png(3),
    "clear.png": _png(4),
    "grey.png": _png(1),
    "deep.png": lambda path: Image.fromarray(_values(1, np.uint16)[..., 0]).save(path, compress_level=0),
    "rgb.jpg": _png(3),
    "rgb.bmp": _png(3),
    "rgb.tif": lambda path: Image.fromarray(_values(3, np.uint8)).save(path),
    "deep.npy": _npy(3, np.uint16),
    "float.npy": _npy(3, np.float32),
    "bands.npy": _npy(8, np.float32),
}


def _growth_mb(read):
    """MiB that reading takes at most, beyond what is in memory before; Linux forgets the peak so far on request."""
    _RESET.write_text("5")
    before = peak_memory_mb()
    read()
    return peak_memory_mb() - before


@pytest.mark.skipif(not _RESET.exists(), reason="asks Linux to forget the peak")
@pytest.mark.parametrize("name", IMAGES)
def test_reading_takes_no_more_than_is_counted(name, tmp_path):
    path = tmp_path / name
    IMAGES[name](path)
    header = read_header(path)
    counted = SIDE**2 * _bytes_per_pixel(header) / 2**20
    images = ImageReader(channels=header.count)
    images.read(path)
    assert _growth_mb(lambda: images.read(path)) < counted + SLACK_MB
    if not name.endswith(".npy"):
        counted = SIDE**2 * _BYTES_PER_PIXEL / 2**20
        assert name.startswith("clear") or _growth_mb(lambda: read_by_kind(path)) < counted + SLACK_MB


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("read", [RGB.read, read_by_kind])
def test_an_image_that_takes_too_much_is_refused(name, read, tmp_path):
    if read is read_by_kind and name.endswith(".npy"):
        return
    path = tmp_path / name
    IMAGES[name](path)
    refused = rf"{name} has 1500x1500 pixels, which take about 0\.\d GB to read, and an image may take 0\.0 GB; cut it"
    with child_limits(memory_gb=0.01, minutes=None), pytest.raises(ValueError, match=refused):
        read(path)


def test_a_jpeg_that_is_decoded_at_an_eighth_takes_a_small_part(tmp_path):
    Image.fromarray(_values(3, np.uint8)).save(tmp_path / "a.jpg")
    with child_limits(memory_gb=0.01, minutes=None):
        picture, full = RGB.read(tmp_path / "a.jpg", lambda height, width: (100, 100))
    assert picture.shape[0] < 200
    assert full == (SIDE, SIDE)


@pytest.mark.parametrize("alpha", [None, np.uint8, np.uint16])
@pytest.mark.parametrize("value_range", [None, (10.0, 240.5)])
def test_pixels_are_the_same_however_many_rows_are_scaled_at_a_time(alpha, value_range, monkeypatch):
    bands = _RANDOM.integers(0, 256, (50, 7, 3), dtype=np.uint8)
    opacity = None if alpha is None else _RANDOM.integers(0, np.iinfo(alpha).max + 1, (50, 7)).astype(alpha)
    whole = reader._codes(bands, opacity, value_range)
    monkeypatch.setattr(reader, "_BLOCK_PIXELS", 20)
    assert (reader._codes(bands, opacity, value_range) == whole).all()
