from __future__ import annotations

import pytest
import torch
from torch import nn

from torchseg.train import FitConfig
from torchseg.train.optimizer import OPTIMIZERS, make_optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_rate_and_decay(name):
    optimizer = make_optimizer(name, nn.Linear(2, 2), learning_rate=0.1, weight_decay=0.5)
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [(0.1, 0.5)]


@pytest.mark.parametrize(("name", "expected"), [("adamw", 0.95), ("adam", 0.9), ("sgd", 0.95)])
def test_without_a_gradient_weights_decay_as_their_optimizer_says(name, expected):
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    layer.weight.grad = torch.zeros_like(layer.weight)
    make_optimizer(name, layer, learning_rate=0.1, weight_decay=0.5).step()
    assert layer.weight.item() == pytest.approx(expected)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match="optimizer is 'adamm'; choose from adamw, adam, sgd"):
        FitConfig(epochs=1, optimizer="adamm")
