"""Makes a user's data folder with images and masks, drawn like the built-in scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from torchseg.data.datasets.scenes import draw_scene

COUNT, SIDE = 30, 32
_CLASSES = ("Boden", "gestreift", "kariert", "Maß", "кольцо")


def draw_pictures(root: Path, name: str) -> None:
    """Writes `images/`, `masks/` and `classes.txt`; the class names contain non-ASCII letters.

    Args:
        root: folder to write them to.
        name: prefix of the image names, before the number.
    """
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(COUNT):
        picture, mask = draw_scene(SIDE, SIDE, np.random.default_rng(number))
        Image.fromarray(picture).save(root / "images" / f"{name}{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{name}{number}.png")
    (root / "classes.txt").write_text("".join(f"{each}\n" for each in _CLASSES), encoding="utf-8")
