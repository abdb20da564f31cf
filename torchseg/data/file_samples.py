"""Samples that are read lazily from files: pairs of image and mask, or images without masks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.images.io import find_pictures
from torchseg.data.images.reader import RGB, ImageReader
from torchseg.data.masks.io import MaskHeader, read_header, read_mask
from torchseg.data.masks.values import smoothing
from torchseg.data.sample import Fit, Sample
from torchseg.spec import IGNORE_INDEX

Decode = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
Read = Callable[[Path], NDArray[np.uint8]]


class FileSamples:
    """Images with masks on disk; indexing reads and checks one pair.

    Args:
        pairs: image and mask files.
        classes: names; a mask value must be below their number, or be the ignored value.
        decode: turns a stored mask, `(H, W)` or `(H, W, 3)`, into classes `(H, W)`.
        read: reads a stored mask from its file.
        name: gives the name of the image in a file, unique within the data set. Default: the file's name without
            suffix.
        images: reads the images.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Path, Path]],
        *,
        classes: Sequence[str],
        decode: Decode | None = None,
        read: Read = read_mask,
        name: Callable[[Path], str] | None = None,
        images: ImageReader = RGB,
    ) -> None:
        self.pairs, self.images = list(pairs), images
        self.classes = tuple(classes)
        self.decode, self.read, self.name = decode, read, name or _stem

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Reads one pair; raises a ValueError that names the faulty file."""
        return self.reduced(index)

    def reduced(self, index: int, fit: Fit | None = None) -> Sample:
        """Reads one pair with the image possibly smaller, see `ReducibleSamples`; raises like indexing."""
        picture_path, mask_path = self.pairs[index]
        (picture, size), stored = self.images.read(picture_path, fit), self.read(mask_path)
        check_sizes(picture_path, size, mask_path, stored.shape[:2])
        try:
            mask = self.decode(stored) if self.decode else stored
            check_values(mask, self.classes)
        except ValueError as error:
            smoothed = smoothing(stored, mask_path)
            raise ValueError(f"mask {mask_path}: {smoothed or error}") from error
        return Sample(name=self.name(picture_path), picture=picture, mask=mask)

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of an image in pixels, read from its header only."""
        return self.images.size(self.pairs[index][0])


def check_values(mask: NDArray[np.uint8], classes: Sequence[str]) -> None:
    """Raises a ValueError unless every value of the mask `(H, W)` is the number of a class or the ignored value."""
    if mask.ndim != 2:
        raise ValueError("it is a coloured image; expected one value per pixel")
    count = len(classes)
    if (mask + np.uint8(1)).max() > count:  # the ignored value wraps around to 0
        foreign = mask[(mask >= count) & (mask != IGNORE_INDEX)].min()
        raise ValueError(
            f"it holds the value {foreign}, but the classes are 0 to {count - 1} "
            f"({', '.join(classes)}) and {IGNORE_INDEX} is ignored; correct the mask or name more classes"
        )


def _stem(picture: Path) -> str:
    return picture.stem


def check_pair(picture: Path, mask: Path) -> None:
    """Reads both headers; raises ValueError if the mask is missing or has another size than the image."""
    if not mask.is_file():
        raise ValueError(f"image {picture} has no mask: expected {mask}; add the mask or remove the image")
    check_headers(picture, mask, read_header(mask))


def check_headers(picture: Path, mask: Path, header: MaskHeader) -> None:
    """Raises a ValueError unless a mask with this header fits the image, of which the header is read.

    An image with an EXIF orientation may have either the size as it is stored or that when it stands upright.
    """
    if header.size in {ImageReader(exif="ignore").size(picture), upright := RGB.size(picture)}:
        return
    if header.is_turned and header.size[::-1] == upright:
        raise ValueError(
            f"mask {mask} fits its image {picture} only if its EXIF orientation ({header.orientation}) is applied; "
            "save it as it looks, without EXIF"
        )
    check_sizes(picture, upright, mask, header.size)


def check_sizes(picture: Path, picture_hw: tuple[int, ...], mask: Path, mask_hw: tuple[int, ...]) -> None:
    """Raises a ValueError that names both files and sizes if the sizes, (height, width), differ."""
    if picture_hw != mask_hw and picture == mask:
        raise ValueError(
            f"image {picture} is {picture_hw[0]}x{picture_hw[1]} and its annotation is for {mask_hw[0]}x{mask_hw[1]} "
            "(height x width): give the image that was annotated, or export the annotations again"
        )
    if picture_hw != mask_hw:
        raise ValueError(
            f"mask {mask} is {mask_hw[0]}x{mask_hw[1]} but its image {picture} is {picture_hw[0]}x{picture_hw[1]} "
            "(height x width); both must have one size: save the mask again at its image's size, or let prepare --fix "
            "OUT resize it in a copy"
        )


class UnlabelledPictures:
    """All images directly in a folder, each with a mask that holds the ignored value everywhere."""

    def __init__(self, folder: Path, *, images: ImageReader = RGB) -> None:
        self.files, self.images = find_pictures(folder), images

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """Reads one image; raises a ValueError that names the file if it cannot be read."""
        return self.reduced(index)

    def reduced(self, index: int, fit: Fit | None = None) -> Sample:
        """Reads one image, possibly smaller, see `ReducibleSamples`."""
        path = self.files[index]
        picture, size = self.images.read(path, fit)
        return Sample(name=path.stem, picture=picture, mask=np.full(size, IGNORE_INDEX, np.uint8))


def share_of(name: str) -> float:
    """A fixed hash of the name in [0, 1), so that adding images to a data set moves no old image to another split."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
