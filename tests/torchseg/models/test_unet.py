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


def test_the_fast_unet_has_no_layer_at_full_size_and_none_that_is_too_thin():
    network = build_model("fast_unet", {}, SPEC).eval()
    seen = {}
    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _layer, _inputs, output, name=name: seen.update({name: output.shape}))
    assert network(torch.zeros(1, 3, 32, 48)).shape == (1, 3, 32, 48)
    assert network.stride == 16
    assert max(shape[-1] for shape in seen.values()) == 24
    assert min(shape[1] for shape in seen.values()) == 16


def test_a_stem_of_another_stride_is_refused():
    with pytest.raises(ValueError, match="stem_stride of model 'fast_unet' is 4; give one of 1, 2"):
        build_model("fast_unet", {"stem_stride": 4}, SPEC)
