"""Counts the multiply-adds (MACs) of one forward pass."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from torchseg.spec import ImageSpec


def multiply_adds(model: nn.Module, spec: ImageSpec) -> int:
    """Multiply-adds of convolutions and matrix products for one image of this spec."""
    device = next(model.parameters()).device
    image = torch.zeros(1, spec.channels, spec.height, spec.width, device=device)
    was_training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image)
    model.train(was_training)
    return int(counter.get_total_flops()) // 2
