from __future__ import annotations

import pytest
import torch

from torchseg.models import build_model
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=32, width=48, classes=("a", "b", "c"))


def test_a_size_that_does_not_divide_brings_the_nearest_that_do():
    model = build_model("unet", {"base_width": 4, "depth": 3}, SPEC)
    with pytest.raises(ValueError, match=r"image is 30x48; both sides must divide by 8: use 24x48 or 32x48"):
        model(torch.randn(1, 3, 30, 48))


def test_dropout_is_a_share():
    with pytest.raises(ValueError, match="give a share"):
        build_model("unet", {"dropout": 1.0}, SPEC)
