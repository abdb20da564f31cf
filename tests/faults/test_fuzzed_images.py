"""Damaged images and masks are read or refused with their name, and nothing else happens."""

from __future__ import annotations

import io
import time
import warnings
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tests.faults.mutations import mutated, number_of, report
from torchseg.data.images.reader import ANY, RGB
from torchseg.data.masks.io import read_colours, read_header, read_mask

LIMIT_S = 60
_RANDOM = np.random.default_rng(0)
_GREY = _RANDOM.integers(0, 5, (24, 32), dtype=np.uint8)
_COLOUR = _RANDOM.integers(0, 256, (24, 32, 3), dtype=np.uint8)


def _saved(array, kind, mode=None, **options):
    image = Image.fromarray(array)
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(_COLOUR, "JPEG", exif=exif)


def _array(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


FILES = {
    "colour.png": _saved(_COLOUR, "PNG"),
    "grey.png": _saved(_GREY, "PNG"),
    "deep.png": _saved(_GREY.astype(np.uint16) * 900, "PNG"),
    "indexed.png": _saved(_GREY, "PNG", "P"),
    "clear.png": _saved(_COLOUR, "PNG", "RGBA"),
    "bits.png": _saved(_GREY, "PNG", "1"),
    "turned.jpg": _turned(),
    "progressive.jpg": _saved(_COLOUR, "JPEG", progressive=True),
    "colour.bmp": _saved(_COLOUR, "BMP"),
    "colour.tif": _saved(_COLOUR, "TIFF"),
    "packed.tif": _saved(_COLOUR, "TIFF", compression="tiff_lzw"),
    "deflated.tif": _saved(_GREY, "TIFF", compression="tiff_adobe_deflate"),
    "float.tif": _saved(_GREY.astype(np.float32) / 5, "TIFF"),
    "deep.tif": _saved(_GREY.astype(np.uint16) * 900, "TIFF"),
    "bands.npy": _array(_RANDOM.integers(0, 256, (24, 32, 4), dtype=np.uint8)),
    "float.npy": _array(_RANDOM.random((24, 32, 2), dtype=np.float32)),
}
READERS = {
    "image": [RGB.read, ANY.read, RGB.size],
    "mask": [read_mask, read_colours, read_header],
}


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it can read all the same
@pytest.mark.parametrize("family", READERS)
def test_a_damaged_file_is_read_or_named(family, tmp_path):
    outcomes: Counter[str] = Counter()
    for seed in range(number_of(1000, short=96)):
        name = list(FILES)[seed % len(FILES)]
        path = tmp_path / name
        path.write_bytes(mutated(FILES[name], seed))
        for read in READERS[family]:
            started = time.monotonic()
            outcomes[_outcome(read, path, seed)] += 1
            assert time.monotonic() - started < LIMIT_S, f"seed {seed}, {name}"
    report(f"{family}s", outcomes)
    assert outcomes["read"] > 0, "damage that is never accepted hits the header alone"
    assert outcomes["refused"] > 0


def _outcome(read, path, seed):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
    except (ValueError, OSError) as error:
        if path.name not in str(error):
            raise AssertionError(f"seed {seed}, {path.name}: {error!r} names no file") from error
        return "refused"
    except Exception as error:
        raise AssertionError(f"seed {seed}, {path.name}, {read}: {error!r}") from error
    return "read"
