from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.compress import fake_quantize


@given(st.integers(0, 2**16), st.floats(0.05, 10))
def test_a_value_moves_by_half_a_level_at_most(seed, step):
    values = torch.randn(50, generator=torch.Generator().manual_seed(seed))
    scale = torch.tensor(step)
    rounded = fake_quantize(values, scale=scale, low=-200 * scale, high=200 * scale)
    assert ((rounded - values).abs() <= step * 0.5001).all()
    assert torch.allclose(rounded / scale, (rounded / scale).round(), atol=1e-3)


def test_what_lies_beyond_the_range_is_cut_off():
    values = torch.tensor([-3.0, 0.2, 9.0])
    rounded = fake_quantize(values, scale=torch.tensor(0.5), low=-1.0, high=2.0)
    assert rounded.tolist() == [-1.0, 0.0, 2.0]


def test_the_gradient_passes_inside_the_range_and_stops_outside():
    values = torch.tensor([-3.0, 0.2, 9.0], requires_grad=True)
    fake_quantize(values, scale=torch.tensor(0.5), low=-1.0, high=2.0).sum().backward()
    assert values.grad.tolist() == [0.0, 1.0, 0.0]
