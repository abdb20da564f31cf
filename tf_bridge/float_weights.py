"""Chooses the weights of an fp16 file that stay in float32 when rounding all of them changes too many pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Name = TypeVar("Name")
# Tried in this order. The smallest layers are usually the first and the last of a network, whose rounding errors pass
# through all later layers or straight into the classes. With 2 % of the values in float32, 39 % (attention U-Net) to
# 90 % (MobileNetV2) of the pixels whose class rounding had changed get their class back.
SHARES = (0.02, 0.05, 0.1, 0.2, 0.5)


def lightest(sizes: Mapping[Name, int], share: float) -> set[Name]:
    """The smallest tensors that together hold at most this share of all values.

    Args:
        sizes: number of values of each tensor.
        share: of the sum of all sizes, 0 to 1.
    """
    room, chosen = share * sum(sizes.values()), set()
    for name in sorted(sizes, key=lambda each: sizes[each]):
        room -= sizes[name]
        if room < 0:
            break
        chosen.add(name)
    return chosen
