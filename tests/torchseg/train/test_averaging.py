from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train.averaging import averaged_model

SPEC = ImageSpec(height=8, width=8, classes=("a", "b"))


def _number(value):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def _followed(values, *, decay):
    """The average after each of these weights."""
    model = _number(100.0)  # initial weights, which must not matter
    averaged = averaged_model(model, decay=decay)
    for value in values:
        nn.init.constant_(model.weight, value)
        averaged.update_parameters(model)
        yield averaged.module.weight.item()


def test_the_average_follows_its_formula():
    """After the first step the weights themselves; then a share of the old average, which grows to the decay."""
    values = [1.0, -2.0, 3.0, 0.5] * 10
    expected, own = [values[0]], values[0]
    for done, value in enumerate(values[1:], start=1):
        kept = min(0.6, (1 + done) / (10 + done))
        own = kept * own + (1 - kept) * value
        expected.append(own)
    assert list(_followed(values, decay=0.6)) == pytest.approx(expected, rel=1e-4)


@given(st.floats(0.01, 0.9999), st.lists(st.floats(-5, 5), min_size=1, max_size=20))
def test_the_average_lies_among_the_weights_that_it_saw_and_never_among_the_initial_ones(decay, values):
    for count, average in enumerate(_followed(values, decay=decay), start=1):
        assert min(values[:count]) - 1e-4 <= average <= max(values[:count]) + 1e-4


def test_a_long_average_of_constant_weights_is_those_weights():
    assert list(_followed([1.0] + [2.0] * 2000, decay=0.99))[-1] == pytest.approx(2.0)


def test_an_average_with_a_decay_near_one_is_not_stuck_at_the_first_weights():
    """A plain average of decay 0.999 would have kept 0.999 ** 40 = 96 % of them."""
    assert list(_followed([0.0] + [1.0] * 40, decay=0.999))[-1] > 0.9


def test_statistics_of_batch_norm_are_averaged_and_their_counts_copied():
    model = build_model("unet", {"base_width": 4, "depth": 1}, SPEC, seed=1).train()
    averaged = averaged_model(model, decay=0.9)
    seen = []
    for seed in range(3):
        model(torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)))
        averaged.update_parameters(model)
        seen.append({name: tensor.clone() for name, tensor in model.named_buffers()})
    ours = dict(averaged.module.named_buffers())
    own = seen[0]["stem.1.running_mean"]
    for done, now in enumerate(seen[1:], start=1):
        kept = (1 + done) / (10 + done)
        own = kept * own + (1 - kept) * now["stem.1.running_mean"]
    assert torch.allclose(ours["stem.1.running_mean"], own)
    assert not torch.allclose(own, seen[-1]["stem.1.running_mean"])
    assert ours["stem.1.num_batches_tracked"] == 3


def test_the_model_itself_is_left_alone_and_the_average_gets_no_gradient():
    model = _number(1.0)
    averaged = averaged_model(model, decay=0.9)
    averaged.update_parameters(model)
    nn.init.constant_(model.weight, 2.0)
    averaged.update_parameters(model)
    assert model.weight.item() == 2.0
    assert averaged.module.weight is not model.weight
    assert averaged.module.weight.grad is None
    assert averaged.module.weight.grad_fn is None
