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


def test_only_images_of_three_channels_are_taken():
    grey = ImageSpec(height=32, width=48, classes=("a", "b"), channels=1, mean=(0.5,), std=(0.5,))
    with pytest.raises(ValueError, match="takes images of 3 channels, not of 1"):
        build_model("torchvision:lraspp_mobilenet_v3_large", {}, grey)
