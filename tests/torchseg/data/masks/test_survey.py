from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.masks.survey import MaskSurvey


@pytest.fixture
def survey(tmp_path):
    """Writes these images as PNG masks, and takes all of them in."""

    def run(*images):
        found = MaskSurvey()
        for number, image in enumerate(images):
            image.save(tmp_path / f"{number}.png")
            found.add(tmp_path / f"{number}.png")
        return found

    return run


SQUARE = np.kron(np.array([[0, 1], [2, 2]], np.uint8), np.ones((3, 3), np.uint8))


def test_values_are_counted_with_those_inside_of_areas(survey):
    found = survey(Image.fromarray(SQUARE), Image.fromarray(SQUARE))
    assert found.values.counts == {0: (18, 2), 1: (18, 2), 2: (36, 8)}
    assert (found.deep, found.one_bit, found.colours.counts) == ({0, 1, 2}, set(), {})


def test_masks_of_one_bit_are_kept_apart_and_those_of_no_image_left_out(survey, tmp_path):
    found = survey(Image.fromarray(SQUARE > 0), Image.fromarray(SQUARE))
    assert (found.deep, found.one_bit) == ({0, 1, 2}, {0, 1})
    (tmp_path / "damaged.png").write_bytes(b"no image")
    found.add(tmp_path / "damaged.png")
    assert [path.name for path in found.headers] == ["0.png", "1.png"]


def test_values_join_the_colours_with_the_colours_of_their_palette(survey):
    indexed = Image.fromarray(SQUARE, "P")
    indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    found = survey(indexed, indexed.convert("RGB"))
    assert found.colours.counts == {0x000000: (9, 1), 0xFF0000: (9, 1), 0x0000FF: (18, 4)}
    assert found.in_colours().counts == {0x000000: (18, 2), 0xFF0000: (18, 2), 0x0000FF: (36, 8)}
