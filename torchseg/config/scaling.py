"""Flags that say how a network made elsewhere expects its images to be scaled."""

from __future__ import annotations

from torchseg.config.base import SCALINGS, numbers
from torchseg.spec import nearest

MeanAndStd = tuple[tuple[float, ...], tuple[float, ...]]


def mean_and_std(scaling: str, mean: str, std: str) -> MeanAndStd:
    """Mean and standard deviation for images in [0, 1]: the network sees `(image / 255 - mean) / std`.

    Args:
        scaling: a key of `SCALINGS`.
        mean: one number per channel or one for all, separated by commas; with `std`, it replaces `scaling`.
        std: the same.

    Raises:
        ValueError: for an unknown scaling, or a mean without a standard deviation.
    """
    if bool(mean) != bool(std):
        raise ValueError("--mean and --std belong together; give both, or --scaling")
    if mean:
        means, stds = numbers("mean", mean), numbers("std", std)
        if len(means) != len(stds):
            raise ValueError(f"--mean has {len(means)} and --std {len(stds)} numbers; give one per channel in both")
        return means, stds
    if scaling not in SCALINGS:
        near, known = nearest(scaling, SCALINGS), ", ".join(SCALINGS)
        raise ValueError(f"scaling is '{scaling}'{near}; choose from {known}, or give --mean and --std")
    return SCALINGS[scaling]
