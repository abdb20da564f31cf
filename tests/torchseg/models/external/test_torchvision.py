from __future__ import annotations

import pytest
import torch

from torchseg.models import build_model
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=32, width=48, classes=("a", "b", "c"))


@pytest.mark.slow
def test_a_network_of_torchvision_gives_its_main_output_for_any_size():
    network = build_model("torchvision:lraspp_mobilenet_v3_large", {}, SPEC).eval()
    for size in ((32, 48), (33, 47)):
        assert network(torch.zeros(1, 3, *size)).shape == (1, 3, *size)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no segmentation network 'fcn_resnet5' \(did you mean 'fcn_resnet50'"):
        build_model("torchvision:fcn_resnet5", {}, SPEC)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lraspp_mobilenet_v3_large", "fcn_resnet50"])
def test_images_may_have_any_number_of_channels(name):
    spec = ImageSpec(height=32, width=48, classes=("a", "b", "c"), channels=4, mean=(0.5,) * 4, std=(0.5,) * 4)
    network = build_model(f"torchvision:{name}", {}, spec).eval()
    images = torch.randn(1, 4, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, without_the_last = network(images), network(images * torch.tensor([1.0, 1, 1, 0])[:, None, None])
    assert logits.shape == (1, 3, 32, 48)
    assert not torch.equal(logits, without_the_last)
