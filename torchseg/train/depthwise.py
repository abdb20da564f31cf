"""Gradients of depthwise convolutions in bfloat16, by faster ways than PyTorch's own on CPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d
from torch.overrides import TorchFunctionMode

Pair = tuple[int, int]
_SLOW_KERNEL = 5  # from this size on, PyTorch needs three to five times as long for the weights' gradient as in float32


class FastDepthwiseGradients(TorchFunctionMode):
    """Computes depthwise convolutions in bfloat16 as PyTorch does, and their gradients faster; for CPUs.

    An encoder of EfficientNet-Lite spends two thirds of a training step on these gradients, which it otherwise computes
    without the kernels that float32 has. `python benchmarks/depthwise_gradients.py` compares both.

    The mode acts on the calling thread, inside of `with`; what it does not know, PyTorch computes.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called by PyTorch in place of each of its functions."""
        return (_convolve if func is conv2d else func)(*args, **(kwargs or {}))


def _convolve(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    channels, depth, *kernel = weight.shape
    is_depthwise = depth == 1 and channels == groups > 1
    if not is_depthwise or isinstance(padding, str) or not torch.is_grad_enabled() or _pair(dilation) != (1, 1):
        return conv2d(images, weight, bias, stride, padding, dilation, groups)
    step, border = _pair(stride), _pair(padding)
    if any(more >= size for more, size in zip(border, kernel, strict=True)):
        return conv2d(images, weight, bias, stride, padding, dilation, groups)
    kind = torch.bfloat16
    apply: Callable[..., Tensor] = _Depthwise.apply
    return apply(images.to(kind), weight.to(kind), bias, step, border)


def _pair(value: int | Sequence[int]) -> Pair:
    first, second = (value, value) if isinstance(value, int) else value
    return first, second


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution of images `(B, C, H, W)`, weights `(C, 1, h, w)`, both bfloat16, and bias `(C,)`."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return conv2d(images, weight, bias if bias is None else bias.to(weight.dtype), stride, padding, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        images, weight = ctx.saved_tensors
        for_images = for_weight = for_bias = None
        if ctx.needs_input_grad[0]:
            for_images = _gradient_of_images(gradient, images, weight, ctx.stride, ctx.padding)
        if ctx.needs_input_grad[1]:
            kind = torch.float32 if max(weight.shape[2:]) >= _SLOW_KERNEL else weight.dtype
            given = (gradient.to(kind), images.to(kind), weight.to(kind))
            for_weight = _gradients(*given, ctx.stride, ctx.padding, of=1).to(weight.dtype)
        if ctx.needs_input_grad[2]:
            for_bias = gradient.sum((0, 2, 3), dtype=torch.float32)
        return for_images, for_weight, for_bias, None, None


def _gradient_of_images(gradient: Tensor, images: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
    """With strides, the gradient is spread over the positions of stride 1, where a convolution is fast."""
    if stride == (1, 1):
        return _gradients(gradient, images, weight, stride, padding, of=0)
    kernel, size = weight.shape[2:], images.shape[2:]
    height, width = (side + 2 * more - k + 1 for side, more, k in zip(size, padding, kernel, strict=True))
    shape = (*gradient.shape[:2], height, width)
    spread = torch.empty(shape, dtype=gradient.dtype, memory_format=torch.channels_last).zero_()
    spread[:, :, :: stride[0], :: stride[1]] = gradient
    border = (kernel[0] - 1 - padding[0], kernel[1] - 1 - padding[1])
    return conv2d(spread, weight.flip(2, 3), None, 1, border, 1, len(weight))


def _gradients(gradient: Tensor, images: Tensor, weight: Tensor, stride: Pair, padding: Pair, *, of: int) -> Tensor:
    """PyTorch's own gradient of the images (`of` is 0) or the weights (1)."""
    wanted = [of == 0, of == 1, False]
    found: Sequence[Tensor] = torch.ops.aten.convolution_backward(
        gradient, images, weight, None, stride, padding, (1, 1), False, (0, 0), len(weight), wanted
    )
    return found[of]
