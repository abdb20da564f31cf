"""Writes a data set the way `--data folder` reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from torchseg.data.data_set import DataSet
from torchseg.data.transforms import BoundedSamples

PARTS = ("train", "validation", "test")


def write_folder(
    data: DataSet, root: Path, *, size: tuple[int, int], on_picture: Callable[[], object] = lambda: None
) -> None:
    """Writes `images/`, `masks/`, `classes.txt`, and a list of names for each part, so that the parts stay the same.

    Pictures keep their shape; those that are larger than training at `size` can use become smaller. Nothing is lost to
    compression: pictures are PNG files.

    Args:
        data: to copy; pictures without masks are left out.
        root: new or empty folder.
        size: height and width that networks will see.
        on_picture: called after each.

    Raises:
        ValueError: if the folder holds anything.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ValueError(f"--out {root} exists already; give a new folder for the copy")
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in data.classes), encoding="utf-8")
    for part in PARTS:
        samples = BoundedSamples(getattr(data, part), height=size[0], width=size[1])
        names = []
        for index in range(len(samples)):
            sample = samples[index]
            Image.fromarray(sample.picture).save(root / "images" / f"{sample.name}.png")
            Image.fromarray(sample.mask).save(root / "masks" / f"{sample.name}.png")
            names.append(sample.name)
            on_picture()
        (root / f"{part}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
