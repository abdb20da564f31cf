"""Which weights of an fp16 file stay in float32 where rounding all of them changes too many pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Name = TypeVar("Name")
# What is tried, in this order. The lightest layers are the first and the last of most networks, whose roundings pass
# through everything behind them or straight into the classes: with 2 % of the values in float32, 39 % (attention U-Net)
# to 90 % (MobileNetV2) of the pixels that rounding had turned are right again.
SHARES = (0.02, 0.05, 0.1, 0.2, 0.5)


def lightest(sizes: Mapping[Name, int], share: float) -> set[Name]:
    """The smallest tensors that together hold at most this share of all values.

    Args:
        sizes: values in each tensor.
        share: of their sum, 0 to 1.
    """
    room, chosen = share * sum(sizes.values()), set()
    for name in sorted(sizes, key=lambda each: sizes[each]):
        room -= sizes[name]
        if room < 0:
            break
        chosen.add(name)
    return chosen
