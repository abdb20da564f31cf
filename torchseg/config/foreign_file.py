"""Flags that say how a model file of another tool is run. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torchseg.config.base import SCALINGS, numbers
from torchseg.modelfile.run_options import RunOptions
from torchseg.plural import counted
from torchseg.spec import nearest

MeanAndStd = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class ForeignFileFlags:
    """Flags for files that do not say themselves how they are run; files of this project ignore them.

    Attributes:
        scaling: Pixel range that a file from another tool expects: 0-1, -1-1, imagenet (mean and standard deviation of
            ImageNet) or 0-255.
        mean: Means that a file from another tool expects, one per channel, for images in [0, 1], separated by commas;
            in place of --scaling.
        std: Standard deviations that go with --mean, separated by commas.
        colour_order: Order of the colours that a file from another tool expects; --mean and --std stay in the order
            red, green, blue.
        output: Name of the output of a file from another tool that holds the classes. Default: chosen by its shape.
        output_kind: What the values of that output are: logit, probability, mask255 (0 is background, 255 the object)
            or classes. Default: decided by the values for the first images.
    """

    scaling: str = ""
    mean: str = ""
    std: str = ""
    colour_order: Literal["RGB", "BGR"] = "RGB"
    output: str = ""
    output_kind: Literal["auto", "logit", "probability", "mask255", "classes"] = "auto"

    def __post_init__(self) -> None:
        if self.scaling:
            _check_scaling(self.scaling)
        if len(self.mean_values) != len(self.std_values):
            raise ValueError(f"--mean is '{self.mean}' and --std '{self.std}'; give one number per channel in both")
        if self.scaling and self.mean_values:
            raise ValueError("--scaling and --mean are both given; give one of them")

    @property
    def mean_values(self) -> tuple[float, ...]:
        """`mean`, parsed: one number per channel; empty if not given."""
        return numbers("mean", self.mean)

    @property
    def std_values(self) -> tuple[float, ...]:
        """`std`, parsed: one number per channel; empty if not given."""
        return numbers("std", self.std)

    def mean_and_std(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and standard deviation for images in [0, 1] of so many channels; None if no flag gives them.

        Raises:
            ValueError: if the flags give another number of values.
        """
        mean, std = SCALINGS[self.scaling] if self.scaling else (self.mean_values, self.std_values)
        if not mean:
            return None
        if len(set(mean)) == len(set(std)) == 1 and self.scaling:
            return mean[:1] * channels, std[:1] * channels
        if not len(mean) == len(std) == channels:
            given = f"--scaling {self.scaling}" if self.scaling else "--mean and --std"
            values, bands = counted(len(mean), "value"), counted(channels, "channel")
            raise ValueError(f"{given} has {values} and the images have {bands}; give one each")
        return mean, std

    @property
    def run_options(self) -> RunOptions:
        """How to run the file, without the number of its classes."""
        kind = "" if self.output_kind == "auto" else self.output_kind
        return RunOptions(output=self.output, kind=kind, colour_order=self.colour_order)


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
    _check_scaling(scaling)
    return SCALINGS[scaling]


def _check_scaling(scaling: str) -> None:
    if scaling not in SCALINGS:
        near, known = nearest(scaling, SCALINGS), ", ".join(SCALINGS)
        raise ValueError(f"scaling is '{scaling}'{near}; choose from {known}, or give --mean and --std")
