"""Random crops that prefer rare classes: several boxes are drawn, and the one that shows most of them is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from torchvision.transforms.v2 import RandomResizedCrop

_BOXES = 8  # compared for a crop
_DRAWN = 32  # of which the first that fit into the image are compared
_COARSE = 64  # pixels; a mask with a longer side is looked at in steps

Box = Mapping[str, int]
"""`top`, `left`, `height` and `width`, in pixels."""


class RareCrop:
    """Crops image and mask to the best of several random boxes.

    A box is worth the sum over the classes of sqrt(share of its valid pixels / share of the training pixels): a class
    counts the more the rarer it is, and its first pixels count more than those that fill the box. Where a mask shows
    fewer than two classes, as that of an image without mask does, the box is the one that `crop` draws by itself.

    Args:
        crop: says how large boxes are, draws from the global random state, and resizes what is in a box.
        shares: of the pixels of the training part, by class, each in [0, 1]; 0 for a class that it does not show.
    """

    def __init__(self, crop: RandomResizedCrop, shares: Sequence[float]) -> None:
        self.crop = crop
        known = np.asarray(shares, np.float64)
        self.weights = np.divide(1, np.sqrt(known), out=np.zeros_like(known), where=known > 0)  # (K,)

    def __call__(self, picture: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The cropped image `(C, H, W)` and mask `(H, W)`, both tv_tensors."""
        box = self._box(mask)
        return self.crop.transform(picture, box), self.crop.transform(mask, box)

    def _box(self, mask: Tensor) -> Box:
        step = -(-max(mask.shape) // _COARSE)
        coarse = mask.numpy()[::step, ::step].astype(np.intp)  # once, or every count would convert its part
        boxes: list[Box] = []
        if np.count_nonzero(self._counts(coarse)) > 1:
            boxes = self._draw(*mask.shape)
        if not boxes:
            usual: Box = self.crop.make_params([mask])
            return usual
        counts = np.stack([self._counts(_inside(coarse, box, step)) for box in boxes])  # (boxes, K)
        worth = np.sqrt(counts / counts.sum(axis=1, keepdims=True).clip(1)) @ self.weights
        return boxes[int(worth.argmax())]

    def _draw(self, height: int, width: int) -> list[Box]:
        """Boxes with the areas and aspect ratios of `crop`, drawn at once because that costs less than one by one."""
        area, ratio, y, x = torch.rand(4, _DRAWN, dtype=torch.float64).numpy()
        least, most = self.crop.scale
        low, high = np.log(self.crop.ratio)
        areas, ratios = height * width * (least + (most - least) * area), np.exp(low + (high - low) * ratio)
        heights, widths = np.sqrt(areas / ratios).round().astype(int), np.sqrt(areas * ratios).round().astype(int)
        fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
        tops, lefts = (y * (height - heights + 1)).astype(int), (x * (width - widths + 1)).astype(int)
        rows = np.stack([tops, lefts, heights, widths], axis=1)[fits][:_BOXES].tolist()
        return [dict(zip(("top", "left", "height", "width"), row, strict=True)) for row in rows]

    def _counts(self, part: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.bincount(part.ravel(), minlength=len(self.weights))[: len(self.weights)]


def _inside(coarse: NDArray[np.intp], box: Box, step: int) -> NDArray[np.intp]:
    """The pixels of a mask, kept one in `step` each way, that lie in a box of the whole mask; may be none."""
    top, left = -(-box["top"] // step), -(-box["left"] // step)
    bottom, right = -(-(box["top"] + box["height"]) // step), -(-(box["left"] + box["width"]) // step)
    return coarse[top:bottom, left:right]
