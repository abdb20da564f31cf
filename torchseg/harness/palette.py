"""Colours of classes in pictures and plots."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

# Okabe and Ito's set, told apart with any kind of colour vision; the last two are lighter and darker
# relatives.
_FIRST = ("0072B2", "E69F00", "009E73", "CC79A7", "F0E442", "56B4E9", "D55E00", "8A8A8A", "A6CEE3", "6A3D9A")
_UNKNOWN = (40, 40, 40)


def palette() -> NDArray[np.uint8]:
    """RGB of every mask value, `(256, 3)`; 255, where nothing is known, is nearly black."""
    colours = np.zeros((256, 3), np.uint8)
    for index in range(255):
        if index < len(_FIRST):
            colours[index] = tuple(bytes.fromhex(_FIRST[index]))
        else:  # golden-angle steps: neighbours differ, whatever their number
            hue = (index * 0.381966) % 1.0
            shade = colorsys.hsv_to_rgb(hue, 0.55 + 0.35 * (index % 2), 0.9 - 0.2 * (index % 3))
            colours[index] = [round(255 * part) for part in shade]
    colours[255] = _UNKNOWN
    return colours
