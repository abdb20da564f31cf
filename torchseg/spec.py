"""Image size, scaling and classes: the contract that every stage, model file and runtime shares.

NumPy is imported where images come: flags are checked against this module, and a third of a command's start was NumPy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IGNORE_INDEX = 255
GENERATED = "scenes"  # name of the data set that is drawn, not read


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """Size, colour scaling and classes of the images that a network was made for.

    Three channels are in RGB order, others in that of the files. `mean` and `std` apply to images scaled to [0, 1], so
    a network sees `(image / 255 - mean) / std`; by default they are those of ImageNet for three channels, and 0.5 and
    0.25 otherwise. Mask values run from 0 to `num_classes - 1`; pixels with the value `ignore_index` are left out of
    every loss and metric. Image files of more than 8 bits were scaled so that `value_range` became 0 to 255; it is None
    for 8-bit files.

    Raises:
        ValueError: if a size, a scale or the list of classes is invalid.
    """

    height: int
    width: int
    classes: tuple[str, ...]
    channels: int = 3
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    ignore_index: int = IGNORE_INDEX
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, values in zip(("mean", "std"), default_scaling(self.channels), strict=True):
            if not getattr(self, name):
                object.__setattr__(self, name, values)
        if self.height < 1 or self.width < 1:
            raise ValueError(f"image size is {self.height}x{self.width}; both sides must be at least 1 pixel")
        if not 2 <= len(self.classes) <= 255:
            raise ValueError(f"there are {len(self.classes)} classes; name between 2 and 255")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"class names repeat: {', '.join(self.classes)}; give each class its own name")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(
                f"mean has {len(self.mean)} and std {len(self.std)} values for {self.channels} channels; give one each"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std is {self.std}; every value must be positive")

    @property
    def num_classes(self) -> int:
        """Number of classes, without the ignored value."""
        return len(self.classes)

    def describe(self) -> str:
        """Size and classes as a phrase, for messages."""
        return f"{self.height}x{self.width} images of {', '.join(self.classes)}"

    def prepare(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turns decoded pictures into a network's input.

        Args:
            pictures: uint8, `(B, H, W, C)`.

        Returns:
            Normalised images, float32 `(B, C, H, W)`, contiguous.

        Raises:
            ValueError: if the pictures are not uint8 or do not have the size and channels of this spec.
        """
        import numpy as np

        expected = (self.height, self.width, self.channels)
        if pictures.ndim != 4 or pictures.shape[1:] != expected or pictures.dtype != np.uint8:
            raise ValueError(
                f"images are {pictures.dtype} {pictures.shape}; give uint8 (B, H, W, C) with H, W, C = {expected}"
            )
        scaled = pictures.astype(np.float32) / np.float32(255)
        normalised = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))  # (B, C, H, W)

    def to_dict(self) -> dict[str, Any]:
        """Values that JSON can hold, for a card or a file's metadata."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        if self.value_range is None:
            del values["value_range"]  # releases that do not know it can read the card of 8-bit images
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageSpec:
        """Rebuilds a spec from the output of `to_dict`."""
        arguments: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**arguments)


def default_scaling(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation for images in [0, 1]: ImageNet's for three channels, else 0.5 and 0.25."""
    if channels == 3:
        return (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return (0.5,) * channels, (0.25,) * channels


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` if the name resembles a known one, else an empty string; for error messages."""
    matches = difflib.get_close_matches(name, list(known), n=2, cutoff=0.5)
    return f" (did you mean {' or '.join(repr(match) for match in matches)}?)" if matches else ""
