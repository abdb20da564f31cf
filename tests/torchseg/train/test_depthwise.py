"""Gradients of depthwise convolutions are those of PyTorch."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from torchseg.train.depthwise import FastDepthwiseGradients
from torchseg.train.precision import forward_context

CONVOLUTIONS = st.builds(
    dict,
    kernel_size=st.sampled_from([1, 3, 4, 5, (3, 5), 7]),
    stride=st.sampled_from([1, 2, 3, (2, 1)]),
    padding=st.sampled_from([0, 1, 2, (2, 1), "same"]),
    bias=st.booleans(),
    dilation=st.sampled_from([1, 1, 2]),
).filter(lambda given: given["padding"] != "same" or (given["stride"] == 1 and given["kernel_size"] != 4))


def gradients(layer, images, *, fast):
    layer, images = copy.deepcopy(layer), images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        if fast:
            with FastDepthwiseGradients():
                answer = layer(images)
        else:
            answer = layer(images)
    (answer.float() * torch.linspace(-1, 1, answer.numel()).reshape(answer.shape)).sum().backward()
    return answer, [images.grad, *(each.grad for each in layer.parameters())]


@given(CONVOLUTIONS, st.integers(13, 17), st.integers(13, 17))
def test_answers_are_equal_to_the_bit_and_gradients_up_to_rounding(convolution, height, width):
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, groups=4, **convolution)
    images = torch.randn(2, 4, height, width)
    (answer, found), (expected, ours) = (gradients(layer, images, fast=fast) for fast in (True, False))
    assert torch.equal(answer, expected)
    for ours_gradient, theirs in zip(found, ours, strict=True):
        assert ours_gradient.dtype == torch.float32
        torch.testing.assert_close(ours_gradient, theirs, atol=0.02 * float(theirs.abs().max()), rtol=0)


@pytest.mark.parametrize("groups", [1, 2])
def test_other_convolutions_are_left_to_pytorch(groups):
    torch.manual_seed(0)
    layer, images = nn.Conv2d(4, 4, 3, groups=groups), torch.randn(2, 4, 6, 6)
    assert all(map(torch.equal, gradients(layer, images, fast=True)[1], gradients(layer, images, fast=False)[1]))


def test_mixed_precision_uses_them_and_float32_does_not():
    layer, images, cpu = nn.Conv2d(4, 4, 5, groups=4), torch.randn(2, 4, 6, 6), torch.device("cpu")
    names = []
    for precision in ("bf16", "fp32"):
        with forward_context(precision, cpu):
            names.append(type(layer(images).grad_fn).__name__)
    assert names == ["_DepthwiseBackward", "ConvolutionBackward0"]


def test_frozen_weights_get_no_gradient():
    layer, images = nn.Conv2d(4, 4, 5, groups=4).requires_grad_(False), torch.randn(2, 4, 6, 6)
    found = gradients(layer, images, fast=True)[1]
    assert found[0].abs().sum() > 0
    assert found[1] is None
