"""Segments an image of any size with a network that takes a fixed size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.data import Sample, resize
from torchseg.harness.postprocess import check_finite, probabilities_of
from torchseg.spec import ImageSpec

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (B, C, H, W) to (B, K, H, W)
Picture = NDArray[np.uint8]  # (H, W, C)
Labels = NDArray[np.uint8]  # (H, W)
Segment = Callable[[Predict, Picture, ImageSpec], Labels]
_OVERLAP = 0.25  # share of a tile's side that overlaps with its neighbour
_BATCH = 8  # tiles at a time


def by_resizing(predict: Predict, picture: Picture, spec: ImageSpec) -> Labels:
    """Classes `(H, W)` of a picture resized to the network's size, as for scoring.

    The probabilities are resized back before the argmax: that gives smooth outlines, resized classes would give jagged
    ones.
    """
    height, width = picture.shape[:2]
    sample = Sample(name="", picture=picture, mask=np.zeros((height, width), np.uint8))
    small = resize(sample, height=spec.height, width=spec.width)
    shares = _shares(predict, small.picture[None], spec)[0]  # (K, h, w)
    best, labels = np.full((height, width), -1, np.float32), np.zeros((height, width), np.uint8)
    for index, share in enumerate(shares):  # one class at a time: all classes at full size may not fit into memory
        full = np.asarray(Image.fromarray(share).resize((width, height), Image.Resampling.BILINEAR))
        labels[full > best] = index
        best = np.maximum(best, full)
    return labels


def by_tiles(predict: Predict, picture: Picture, spec: ImageSpec) -> Labels:
    """Classes `(H, W)` of a picture at full scale, averaging the probabilities of overlapping tiles.

    Tiles count less towards their borders, where the network has little context. A side shorter than a tile is padded
    with its edge pixels. Memory: one float per pixel and class.
    """
    height, width = picture.shape[:2]
    missing = [(0, max(0, side - has)) for side, has in ((spec.height, height), (spec.width, width))]
    padded = np.pad(picture, [*missing, (0, 0)], mode="edge")
    weight = np.outer(_ramp(spec.height), _ramp(spec.width))
    places = [
        (top, left) for top in _starts(padded.shape[0], spec.height) for left in _starts(padded.shape[1], spec.width)
    ]
    total: NDArray[np.float32] | None = None
    for start in range(0, len(places), _BATCH):
        batch = places[start : start + _BATCH]
        tiles = np.stack([padded[top : top + spec.height, left : left + spec.width] for top, left in batch])
        shares = _shares(predict, tiles, spec)  # (B, K, h, w)
        if total is None:
            total = np.zeros((shares.shape[1], *padded.shape[:2]), np.float32)
        for (top, left), share in zip(batch, shares, strict=True):
            total[:, top : top + spec.height, left : left + spec.width] += share * weight
    assert total is not None, "an image has at least one tile"
    return np.asarray(total[:, :height, :width].argmax(axis=0), np.uint8)


def _shares(predict: Predict, pictures: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """Probabilities `(B, K, H, W)` of uint8 pictures `(B, H, W, C)`."""
    scores = predict(spec.prepare(pictures))
    check_finite(scores)
    return probabilities_of(scores)


def _starts(length: int, tile: int) -> Iterator[int]:
    """Start of each tile along a side: evenly spaced, the first at 0, the last ending at the border."""
    steps = -(-(length - tile) // max(1, int(tile * (1 - _OVERLAP))))
    for number in range(steps + 1):
        yield round(number * (length - tile) / steps) if steps else 0


def _ramp(side: int) -> NDArray[np.float32]:
    """Weights along one side of a tile, `(side,)`, in (0, 1]: they rise over the overlap at both ends."""
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) + 1
    return np.minimum(distance / max(1.0, side * _OVERLAP), 1).astype(np.float32)
