from __future__ import annotations

import subprocess
import sys

import torch

from torchseg.models import build_model
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=16, classes=("a", "b", "c"))
TRAINING = """
import torch
from torchseg.models.xception_unet import xception_unet
network = xception_unet(3, 2, base_width=8, depth=1).to(memory_format=torch.channels_last)
network(torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)).sum().backward()
"""


def test_the_shortcut_gives_the_same_with_and_without_a_backward_pass_to_come():
    shortcut = build_model("xception_unet", {"base_width": 4, "depth": 1}, SPEC).down[0].shortcut
    features = torch.randn(2, 4, 8, 7)
    with torch.no_grad():
        strided = shortcut(features)
    assert strided.shape == (2, 8, 4, 4)
    torch.testing.assert_close(shortcut(features), strided)


def test_narrow_networks_learn_without_a_crash():
    subprocess.run([sys.executable, "-c", TRAINING], check=True, timeout=100)
