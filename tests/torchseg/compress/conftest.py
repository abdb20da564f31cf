from __future__ import annotations

import pytest
import torch

from torchseg.models import build_model
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=16, classes=("sky", "road", "tree"))


@pytest.fixture
def spec():
    return SPEC


@pytest.fixture
def network():
    """A network with every kind of layer that compression knows, laid out in memory as training does."""
    arguments = {"base_width": 4, "depth": 2, "upsampling": "transposed"}
    return build_model("attention_unet", arguments, SPEC, seed=1).to(memory_format=torch.channels_last)


@pytest.fixture
def images():
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def train(images):
    """Optimizer steps on noise, with whatever wants to be called after each."""

    def run(network, callback, *, first=1, last=20, optimizer=None):
        optimizer = optimizer or torch.optim.AdamW(network.parameters(), lr=1e-2)
        target = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
        network.train()
        for step in range(first, last + 1):
            loss = (network(images) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            callback.after_step(step, network, optimizer)
        return loss.item()

    return run
