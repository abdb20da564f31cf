from __future__ import annotations

import base64
import io
import pickle
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from torchseg.data.masks.bitmap import PngBitmap, RunLengths

PIXELS = np.array([[0, 1, 1], [1, 0, 0]], bool)


def _file(image, **options):
    file = io.BytesIO()
    image.save(file, format="PNG", **options)
    return file.getvalue()


def _text(data, *, zipped=True):
    return base64.b64encode(zlib.compress(data) if zipped else data).decode()


def _indexed():
    image = Image.fromarray(PIXELS.astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    return image


FILES = {
    "indexed with a transparent colour": _file(_indexed(), transparency=0),
    "indexed": _file(_indexed()),
    "grey": _file(Image.fromarray(PIXELS.astype(np.uint8) * 255)),
    "bits": _file(Image.fromarray(PIXELS)),
    "coloured": _file(Image.fromarray(np.repeat(PIXELS[..., None] * np.uint8(200), 3, axis=2))),
    "with alpha": _file(Image.fromarray(np.dstack([np.zeros((2, 3, 3), np.uint8), PIXELS * np.uint8(255)]), "RGBA")),
    "16 bits": _file(Image.fromarray(PIXELS.astype(np.uint16) * 300)),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", FILES)
def test_png_files_of_every_kind_give_the_pixels_of_the_object(kind, zipped):
    bitmap = pickle.loads(pickle.dumps(PngBitmap(_text(FILES[kind], zipped=zipped), most=(2, 3))))
    assert np.array_equal(bitmap.decode(), PIXELS)


def _claiming(width, height):
    """A small PNG file whose header gives this size."""
    file = FILES["grey"]
    header = b"IHDR" + struct.pack(">II", width, height) + file[24:29]
    return file[:12] + header + struct.pack(">I", zlib.crc32(header)) + file[33:]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_text(FILES["grey"][:40]), "its bitmap cannot be read"),
        ("%%%", "its bitmap cannot be read"),
        ("é", "its bitmap cannot be read"),
        (_text(b"no picture"), "it is no PNG file"),
        (_text(_file(Image.new("L", (3, 5)))), "it is 5x3, and its image 2x3"),
        (_text(_claiming(60_000, 60_000)), "it is 60000x60000, and its image 2x3"),
        (_text(_claiming(0, 2)), "it is 2x0, and its image 2x3"),
        (_text(FILES["grey"] + b"0" * 10**6), r"it is a file of more than \d+ bytes"),
        (_text(FILES["grey"])[:30], "its bitmap cannot be read"),
    ],
)
def test_a_bitmap_that_is_damaged_or_too_large_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        PngBitmap(text, most=(2, 3)).decode()


@given(st.lists(st.booleans(), min_size=12, max_size=12), st.booleans())
def test_run_lengths_give_back_the_pixels(pixels, by_column):
    shape = (3, 4)
    edges = np.flatnonzero(np.diff([0, *pixels, 0]))
    runs = np.diff([0, *edges, *([12] if not pixels[-1] else [])])
    expected = np.array(pixels).reshape(shape[::-1]).T if by_column else np.array(pixels).reshape(shape)
    assert np.array_equal(RunLengths(runs.tolist(), *shape, by_column=by_column).decode(), expected)


@pytest.mark.parametrize(
    ("runs", "message"), [([5, 5], r"fill 10 pixels of a bitmap of 3x4"), ([-1, 13], "a run of -1"), ([], "fill 0")]
)
def test_run_lengths_that_do_not_fill_the_bitmap_are_refused(runs, message):
    with pytest.raises(ValueError, match=message):
        RunLengths(runs, 3, 4, by_column=False)
