"""Generated images: overlapping textured shapes under uneven light. Needs no download and no licence.

Classes differ in texture, shape and context, never in colour alone: striped and checked blobs share outlines and
colours, plain blobs belong to the ground, wires are one or two pixels thin, and rings are small. A wide network detects
faint textures that a narrow one misses, and labelled images are few compared with unlabelled ones; so the data set is a
fair small test bed for distillation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from torchseg.data.sample import DataSet, Sample
from torchseg.spec import IGNORE_INDEX

CLASSES = ("ground", "striped", "checked", "wire", "ring")
_GROUND, _STRIPED, _CHECKED, _WIRE, _RING = range(5)
_PARTS = {"train": 0, "validation": 1, "test": 2, "transfer": 3}
_SIZES = {"train": 32, "validation": 64, "test": 256, "transfer": 640}
_RING_SHARE = 0.5  # share of images that contain a ring; with fewer, chance decides whether a network learns it

Plane = NDArray[np.float64]  # (H, W)


class Scenes:
    """One split of the generated data set; an image depends only on split, index and size."""

    def __init__(self, part: str, *, height: int, width: int, length: int | None = None) -> None:
        self.part, self.height, self.width = part, height, width
        self.length = _SIZES[part] if length is None else length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        """Draws one image and its mask."""
        if not 0 <= index < self.length:
            raise IndexError(f"image {index} of {self.length}")
        picture, mask = draw_scene(self.height, self.width, np.random.default_rng([_PARTS[self.part], index]))
        if self.part == "transfer":
            mask[:] = IGNORE_INDEX
        return Sample(name=f"{self.part}_{index:05d}", picture=picture, mask=mask)


def scenes(height: int, width: int) -> DataSet:
    """The built-in data set at one image size, in pixels; the masks of `transfer` are withheld."""
    train, validation, test, transfer = (Scenes(part, height=height, width=width) for part in _PARTS)
    return DataSet(classes=CLASSES, train=train, validation=validation, test=test, transfer=transfer, upright=False)


def draw_scene(height: int, width: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draws an image, uint8 `(H, W, 3)`, and its mask, uint8 `(H, W)`, with a one-pixel ignored rim around shapes."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    unit = min(height, width)
    picture = _ground(height, width, rng)  # (H, W, 3)
    mask = np.full((height, width), _GROUND, np.uint8)
    kinds, shares = [_GROUND, _STRIPED, _CHECKED, _WIRE], [0.15, 0.33, 0.33, 0.19]
    shapes = rng.choice(kinds, p=shares, size=rng.integers(4, 8)).tolist()
    if rng.random() < _RING_SHARE:
        shapes.append(_RING)
    for kind in shapes:
        if kind == _WIRE:
            distance = _wire(x, y, unit, rng)
        elif kind == _RING:
            distance = _ring(x, y, unit, rng)
        else:
            distance = _blob(x, y, unit, rng)
        inside = distance < 0
        fill = _fill(kind, x, y, rng)
        picture[inside] = fill[inside]
        mask[inside] = kind
        if kind != _WIRE:  # a rim would cover the whole wire
            mask[np.abs(distance) < 0.5] = IGNORE_INDEX
    return _photograph(picture, x, y, rng), mask


def _ground(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float64]:
    coarse = rng.normal(0, 0.12, (5, 5, 3))
    rows, columns = np.linspace(0, 3.999, height), np.linspace(0, 3.999, width)
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None, None], (columns - left)[None, :, None]
    upper = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
    lower = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
    smooth: NDArray[np.float64] = rng.uniform(0.3, 0.7, 3) + upper * (1 - down) + lower * down
    return smooth


def _blob(x: Plane, y: Plane, unit: int, rng: np.random.Generator) -> Plane:
    """Approximate signed distance in pixels to an irregular ellipse, `(H, W)`; negative inside."""
    centre_x, centre_y = rng.uniform(0, x.shape[1]), rng.uniform(0, x.shape[0])
    turn, radius, squeeze = rng.uniform(0, np.pi), rng.uniform(0.14, 0.30) * unit, rng.uniform(0.55, 1)
    along = (x - centre_x) * np.cos(turn) + (y - centre_y) * np.sin(turn)
    across = ((y - centre_y) * np.cos(turn) - (x - centre_x) * np.sin(turn)) / squeeze
    angle = np.arctan2(across, along)
    wobble = 1 + sum(rng.uniform(0, 0.12) * np.cos(lobes * angle + rng.uniform(0, 6.3)) for lobes in (2, 3, 5))
    return np.asarray((np.hypot(along, across) - radius * wobble) * squeeze)


def _ring(x: Plane, y: Plane, unit: int, rng: np.random.Generator) -> Plane:
    radius = rng.uniform(0.10, 0.17) * unit
    centre_x, centre_y = rng.uniform(0.15, 0.85) * x.shape[1], rng.uniform(0.15, 0.85) * x.shape[0]
    return np.asarray(np.abs(np.hypot(x - centre_x, y - centre_y) - radius) - 0.045 * unit)


def _wire(x: Plane, y: Plane, unit: int, rng: np.random.Generator) -> Plane:
    turn, bend = rng.uniform(0, np.pi), rng.uniform(-0.15, 0.15) * unit
    centre_x, centre_y = rng.uniform(0.2, 0.8) * x.shape[1], rng.uniform(0.2, 0.8) * x.shape[0]
    along = ((x - centre_x) * np.cos(turn) + (y - centre_y) * np.sin(turn)) / unit
    across = (y - centre_y) * np.cos(turn) - (x - centre_x) * np.sin(turn)
    return np.asarray(np.abs(across - bend * np.sin(4 * along)) - rng.uniform(0.012, 0.02) * unit)


def _fill(kind: int, x: Plane, y: Plane, rng: np.random.Generator) -> NDArray[np.float64]:
    """Colour per pixel, `(H, W, 3)`: two shades of a random colour, in the texture of the class."""
    base, contrast = rng.uniform(0.2, 0.8, 3), rng.uniform(0.08, 0.22)
    turn, period = rng.uniform(0, np.pi), rng.uniform(3.5, 7)
    u = 2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / period + rng.uniform(0, 6.3)
    v = 2 * np.pi * (y * np.cos(turn) - x * np.sin(turn)) / period + rng.uniform(0, 6.3)
    weave = {_STRIPED: np.sin(u), _CHECKED: np.sin(u) * np.sin(v) * 1.4}.get(kind, np.zeros_like(x))
    return np.asarray(base + contrast * weave[..., None])


def _photograph(picture: NDArray[np.float64], x: Plane, y: Plane, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Adds uneven light and sensor noise, and converts to uint8."""
    turn, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35)
    slope = (x / x.shape[1] - 0.5) * np.cos(turn) + (y / x.shape[0] - 0.5) * np.sin(turn)
    lit = picture * (1 + strength * slope)[..., None] + rng.normal(0, rng.uniform(0.02, 0.07), picture.shape)
    return np.asarray((lit.clip(0, 1) * 255).round(), np.uint8)
