"""Cuts large images into square patches."""

from __future__ import annotations

from dataclasses import dataclass

from torchseg.data.file_samples import FileSamples
from torchseg.data.sample import Sample


@dataclass(frozen=True, kw_only=True)
class PatchPlan:
    """Positions of the patches in an image.

    Attributes:
        size: side of a patch in pixels; a smaller image gives smaller patches.
        overlap: share of its side by which a patch overlaps its neighbour, in [0, 1); the last one may overlap more.
    """

    size: int
    overlap: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"patch size is {self.size}; give a side in pixels, e.g. 256")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"patch overlap is {self.overlap}; give a share in [0, 1), e.g. 0.25")

    def starts(self, side: int) -> list[int]:
        """Start of each patch along a side of this many pixels; the patches cover every pixel."""
        if side <= self.size:
            return [0]
        step = max(1, round(self.size * (1 - self.overlap)))
        return [*range(0, side - self.size, step), side - self.size]


class PatchSamples:
    """Every patch of every image, image by image.

    The last image that was read is kept, because its patches are usually read one after the other.
    """

    def __init__(self, samples: FileSamples, plan: PatchPlan) -> None:
        self.samples, self.plan = samples, plan
        self.patches = [
            (index, top, left) for index in range(len(samples)) for top, left in self._corners(samples.size(index))
        ]
        self._last: tuple[int, Sample] | None = None

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, index: int) -> Sample:
        """Cuts out one patch; reads the image unless the previous patch came from it too."""
        number, top, left = self.patches[index]
        if self._last is None or self._last[0] != number:
            self._last = number, self.samples[number]
        whole, size = self._last[1], self.plan.size
        window = slice(top, top + size), slice(left, left + size)
        return Sample(name=f"{whole.name} {top}+{left}", picture=whole.picture[window], mask=whole.mask[window])

    def _corners(self, size: tuple[int, int]) -> list[tuple[int, int]]:
        height, width = size
        return [(top, left) for top in self.plan.starts(height) for left in self.plan.starts(width)]
