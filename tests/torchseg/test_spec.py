from __future__ import annotations

import numpy as np
import pytest

from torchseg.spec import ImageSpec, nearest

SPEC = ImageSpec(height=4, width=6, classes=("a", "b"))


def test_prepare_scales_and_orders_channels_first():
    picture = np.full((1, 4, 6, 3), 255, np.uint8)
    prepared = SPEC.prepare(picture)
    assert prepared.shape == (1, 3, 4, 6)
    assert prepared.dtype == np.float32
    assert prepared[0, :, 0, 0] == pytest.approx([(1 - m) / s for m, s in zip(SPEC.mean, SPEC.std, strict=True)])


def test_prepare_refuses_another_size():
    with pytest.raises(ValueError, match=r"images are uint8 \(1, 4, 4, 3\); give uint8 .* = \(4, 6, 3\)"):
        SPEC.prepare(np.zeros((1, 4, 4, 3), np.uint8))


def test_a_spec_survives_its_dictionary():
    assert ImageSpec.from_dict(SPEC.to_dict()) == SPEC


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 0}, "at least 1 pixel"),
        ({"classes": ("a",)}, "name between 2 and 255"),
        ({"classes": ("a", "a")}, "class names repeat"),
        ({"mean": (0.5,)}, "give one each"),
        ({"std": (1.0, 0.0, 1.0)}, "must be positive"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ImageSpec(**{"height": 4, "width": 6, "classes": ("a", "b")} | changes)


def test_near_names_are_offered():
    assert nearest("unit", ["unet", "small"]) == " (did you mean 'unet'?)"
    assert nearest("xyz", ["unet"]) == ""
