"""The largest pixels of windows of any shape, and pixels taken along one axis. Images are NHWC tensors."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.lowering.values import Tensor, TensorFlow

Windows = list[NDArray[np.int64]]  # along one side, the pixels of every window


def along(tf: TensorFlow, image: Tensor, axis: int, pixels: NDArray[Any]) -> Tensor:
    """Rows or columns by constant indices; evenly spaced ones are a slice."""
    steps = np.unique(np.diff(pixels))
    first, count = int(pixels[0]), len(pixels)
    if len(steps) == 0 or (len(steps) == 1 and steps[0] == 1):
        sides = [int(side) for side in image.shape]
        begin = [first if each == axis else 0 for each in range(len(sides))]
        size = [count if each == axis else side for each, side in enumerate(sides)]
        return image if size == sides else tf.slice(image, begin, size)
    if len(steps) == 1 and steps[0] > 1:
        window = slice(first, int(pixels[-1]) + 1, int(steps[0]))
        return image[tuple(window if each == axis else slice(None) for each in range(len(image.shape)))]
    return tf.gather(image, pixels.astype(np.int32), axis=axis)


def _taps(windows: Windows) -> list[NDArray[np.int64]]:
    """For each step through the windows, one pixel of each; windows that are shorter repeat their first."""
    longest = max(len(window) for window in windows)
    return [
        np.array([window[index] if index < len(window) else window[0] for window in windows])
        for index in range(longest)
    ]


def largest_in_windows(tf: TensorFlow, image: Tensor, rows: Windows, columns: Windows) -> Tensor:
    """The largest pixel of every window, first along the columns' axis and then along the other."""
    for axis, windows in ((1, rows), (2, columns)):
        image = reduce(tf.maximum, [along(tf, image, axis, tap) for tap in _taps(windows)])
    return image


def places_of_largest(tf: TensorFlow, image: Tensor, rows: Windows, columns: Windows) -> Tensor:
    """Where in the image the largest pixel of every window is, `h * W + w`, int32; the first of equal ones."""
    width, best, place = int(image.shape[2]), None, None
    for row in _taps(rows):
        for column in _taps(columns):
            pixel = along(tf, along(tf, image, 1, row), 2, column)
            own = (row[:, None] * width + column).astype(np.int32)[None, :, :, None]
            if best is None:
                best, place = pixel, own
            else:
                better = pixel > best
                best, place = tf.where(better, pixel, best), tf.where(better, own, place)
    return place if tf.is_tensor(place) else tf.broadcast_to(place, tf.shape(image[:, : len(rows), : len(columns)]))
