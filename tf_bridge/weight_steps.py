"""Chooses the quantization step of every output channel by what its rounded weights compute.

A quantizer divides the largest weight of a channel by 127. In a depthwise convolution, with nine weights, the rounding
errors hardly cancel: their sum times the mean of the image is added to every pixel. A step that is up to 3 % larger
rounds the weights differently, and among some dozens of such steps one is found whose errors cancel on real images.
All are numbers that float16 can hold, so that a packed file stores them in two bytes each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

IMAGES, PATCHES = 16, 32  # calibration images that patches are taken from, and the number of patches of each
LARGEST_FACTOR = 1.03  # certificates allow a weight to be off by 0.52 of the usual step, rounding takes half a step
_FACTORS = np.linspace(1, LARGEST_FACTOR, 31, dtype=np.float32)
_LARGEST = 127  # code of a weight
_LARGEST_COUNT = 2.0**30  # steps of a bias, of the 2**31 that it has
_HALF = 2.0**-11  # largest relative error of a number that is rounded to float16


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Which pixels of its image a convolution multiplies with its weights.

    Attributes:
        kernel, strides, dilations: height and width.
        padding: rows above and below, columns left and right, of zeros.
        groups: of channels.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    groups: int

    def patches(self, image: Values, random: np.random.Generator) -> Values:
        """What the weights are multiplied with for some pixels of the result, drawn at random.

        Args:
            image: `(C, H, W)`.
            random: draws the pixels.

        Returns:
            `(groups, C / groups x kernel height x kernel width, n)`.
        """
        padded = np.pad(image, ((0, 0), *self.padding))
        places = []
        for size, kernel, stride, dilation in zip(
            padded.shape[1:], self.kernel, self.strides, self.dilations, strict=True
        ):
            first = random.integers((size - (kernel - 1) * dilation - 1) // stride + 1, size=PATCHES) * stride
            places.append(first + dilation * np.arange(kernel)[:, None])  # (kernel, n)
        rows, columns = places
        found = padded[:, rows[:, None], columns[None]]  # (C, kernel height, kernel width, n)
        return np.ascontiguousarray(found.reshape(self.groups, -1, PATCHES), np.float32)


def best_steps(weights: Values, patches: Values) -> Values:
    """The step of each output channel, `(C_out,)`; 0 for channels without weights.

    Args:
        weights: `(C_out, C_in / groups, kernel height, kernel width)`.
        patches: what the weights are multiplied with, `(groups, C_in / groups x kernel height x kernel width, n)`.
    """
    rows = weights.reshape(len(patches), -1, patches.shape[1])  # (groups, C_out / groups, weights)
    usual = np.abs(rows).max(axis=2, keepdims=True) / _LARGEST
    tried = usual * _FACTORS.reshape(-1, 1, 1, 1)  # (steps, groups, C_out / groups, 1)
    halves = in_half(tried)
    tried = np.where(np.abs(halves - tried) <= _HALF * tried, halves, tried)
    best = np.argmin([_errors(rows, steps, patches) for steps in np.where(tried > 0, tried, 1)], axis=0)
    return np.asarray(np.take_along_axis(tried[..., 0], best[None], axis=0).reshape(-1))


def chosen_or_larger(chosen: Values, stored: Values, bias: Values | None, image_step: float) -> Values:
    """The chosen steps, but the stored ones that a quantizer enlarged so that 32 bits hold the bias.

    Args:
        chosen: one step per output channel, `(C_out,)`.
        stored: likewise, from the quantizer.
        bias: in float32, likewise, or None.
        image_step: of what the layer reads; a bias counts in its products with the steps.
    """
    kept = chosen > 0.99 * stored
    if bias is not None:
        kept &= np.abs(bias) < _LARGEST_COUNT * image_step * chosen.astype(np.float64)
    return np.where(kept, chosen, stored)


def in_half(steps: Values) -> Values:
    """The nearest numbers that float16 can hold; steps that it rounds to 0 or infinity stay."""
    with np.errstate(over="ignore"):
        halves = steps.astype(np.float16).astype(np.float32)
    return np.where((halves > 0) & np.isfinite(halves), halves, steps)


def rounded(weights: NDArray[np.floating], steps: NDArray[np.floating]) -> NDArray[np.int8]:
    """The nearest codes; `steps` have the shape of the weights, or ones to be repeated along an axis."""
    return np.clip(np.round(weights / steps), -_LARGEST, _LARGEST).astype(np.int8)


def counted(bias: NDArray[np.floating], steps: Values) -> NDArray[np.int32]:
    """The nearest numbers of steps."""
    limits = np.iinfo(np.int32)
    return np.clip(np.round(bias / steps.astype(np.float64)), limits.min, limits.max).astype(np.int32)


def _errors(rows: Values, steps: Values, patches: Values) -> Values:
    """Square error of the results that rounding causes, summed over the patches, `(groups, C_out / groups)`."""
    errors = np.matmul(rounded(rows, steps) * steps - rows, patches)
    return np.asarray(np.square(errors).sum(axis=2))
