from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn
from torch.nn import functional

from torchseg.models import build_model
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=16, classes=("a", "b", "c"))
TRAINING = """
import torch
from torchseg.models.xception_unet import xception_unet
network = xception_unet(3, 2, base_width=8, depth=1).to(memory_format=torch.channels_last)
network(torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)).sum().backward()
"""


def test_the_shortcut_of_every_second_pixel_is_a_strided_convolution():
    block = build_model("xception_unet", {"base_width": 4, "depth": 1}, SPEC).eval().down[0]
    features = torch.randn(2, 4, 8, 8)
    strided = functional.conv2d(features, block.shortcut.weight, block.shortcut.bias, stride=2)
    torch.testing.assert_close(block(features), block.body(features) + strided)


def test_no_pointwise_convolution_has_strides():
    network = build_model("xception_unet", {"base_width": 4}, SPEC)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert all(layer.stride == (1, 1) for layer in convolutions if layer.kernel_size == (1, 1))


def test_narrow_networks_learn_without_a_crash():
    subprocess.run([sys.executable, "-c", TRAINING], check=True, timeout=100)
