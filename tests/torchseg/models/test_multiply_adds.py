from __future__ import annotations

import torch

from torchseg.models import multiply_adds
from torchseg.spec import ImageSpec


def test_multiply_adds_of_one_layer_are_those_counted_by_hand():
    convolution = torch.nn.Conv2d(3, 7, 3, padding=1, bias=False)
    spec = ImageSpec(height=32, width=48, classes=("a", "b"))
    assert multiply_adds(convolution, spec) == 32 * 48 * 3 * 3 * 3 * 7
