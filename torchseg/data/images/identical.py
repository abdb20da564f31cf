"""Finds images that are in two splits, because networks must not be scored on images that they learned from."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.data.cache import HeldSamples
from torchseg.data.file_samples import FileSamples, UnlabelledPictures
from torchseg.data.images.reader import RGB, ImageReader
from torchseg.data.patches import PatchSamples
from torchseg.data.sample import Samples, UnmaskedSamples
from torchseg.data.transforms import BoundedSamples, ResizedSamples

_MOST_PIXELS = 30_000_000  # decoded within a second; beyond them, only files are compared
_WITHOUT_MASKS = "transfer"


class SeenImages:
    """Remembers which split had which image, and says where one comes again."""

    def __init__(self) -> None:
        self._first: dict[bytes, list[tuple[str, str]]] = defaultdict(list)

    def add(self, digest: bytes, part: str, name: str) -> str:
        """The fault if a split that must not share images with this one had the same image; empty otherwise.

        Images without masks may be those of the training and the validation split, but not of the test split.
        """
        for other_part, other in self._first[digest]:
            both = {part, other_part}
            if len(both) == 2 and (_WITHOUT_MASKS not in both or "test" in both):
                return (
                    f"image '{name}' of the {part} split is image '{other}' of the {other_part} split; "
                    "remove it from one of them"
                )
        self._first[digest].append((part, name))
        return ""


def digest_of(picture: NDArray[np.generic]) -> bytes:
    """A hash of an image's size and pixels, `(H, W, C)`."""
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()


def image_files(samples: Samples) -> Sequence[Path]:
    """The files that samples are read from; empty for generated ones."""
    while isinstance(samples, HeldSamples | BoundedSamples | ResizedSamples | UnmaskedSamples | PatchSamples):
        samples = samples.samples
    if isinstance(samples, FileSamples):
        return [picture for picture, _ in samples.pairs]
    return samples.files if isinstance(samples, UnlabelledPictures) else ()


def shared_images(
    files: Mapping[str, Sequence[Path]], *, images: ImageReader = RGB, most_pixels: int = _MOST_PIXELS
) -> list[str]:
    """One sentence per image that two splits share; splits without masks may share images with all but the test split.

    Files with equal bytes are always found. Files of other bytes whose pixels are equal are found where all candidates
    (images of a size that occurs in two splits) have no more than `most_pixels` together.

    Args:
        files: image files by split.
        images: reads them.
        most_pixels: limit of pixels to decode.

    Raises:
        ValueError: naming a file that cannot be read.
    """
    faults = _repeated(files, _sizes_in_two(files, lambda path: path.stat().st_size), _file_digest)
    if faults or sum(map(len, files.values())) * 64 > most_pixels:
        return faults
    candidates = _sizes_in_two(files, images.size)
    if sum(int(np.prod(images.size(path))) for path in candidates) > most_pixels:
        return []
    return _repeated(files, candidates, lambda path: digest_of(images.read(path)[0]))


def _sizes_in_two(files: Mapping[str, Sequence[Path]], size: Callable[[Path], object]) -> set[Path]:
    """Files whose size occurs in more than one split."""
    parts: dict[object, set[str]] = defaultdict(set)
    sizes = {path: size(path) for path in _all(files)}
    for part, paths in files.items():
        for path in paths:
            parts[sizes[path]].add(part)
    return {path for path, found in sizes.items() if len(parts[found]) > 1}


def _repeated(files: Mapping[str, Sequence[Path]], candidates: set[Path], digest: Callable[[Path], bytes]) -> list[str]:
    seen, digests = SeenImages(), {path: digest(path) for path in candidates}
    faults = (
        seen.add(digests[path], part, path.stem) for part, paths in files.items() for path in paths if path in digests
    )
    return [fault for fault in faults if fault]


def _file_digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def _all(files: Mapping[str, Sequence[Path]]) -> Iterable[Path]:
    return dict.fromkeys(path for paths in files.values() for path in paths)
