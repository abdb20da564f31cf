"""Annotations by Labelme: one JSON file per image. Source: https://github.com/wkentaro/labelme ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from torchseg.data.annotation_file import image_size, naming, number, read_annotations
from torchseg.data.images.io import find_files
from torchseg.data.masks.bitmap import PngBitmap
from torchseg.data.masks.drawn import BACKGROUND, Annotation, Outline, drawn_data_set
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import split_named

_BACKGROUNDS = ("_background_", "__background__", BACKGROUND)
_IGNORED = ("__ignore__", "_ignore_", "ignore")


def labelme(root: Path) -> DataSet:
    """Reads every `*.json` below `root` that Labelme wrote, and the image that it names.

    Classes are `background` and the labels in alphabetical order; the label `__ignore__` is ignored. Polygons,
    rectangles, circles and masks are drawn in the order of the file; points and lines have no area and are refused.
    Subfolders called train, val and test are the splits; otherwise the name of an image decides, see `three_splits`.

    Raises:
        ValueError: naming a file that cannot be read, or an image that is missing.
    """
    parts: dict[str, dict[Path, Annotation]] = {}
    files = []
    for path in find_files(root, "**/*.json"):
        if content := _content(path):
            with naming(path, "the annotation"):
                image, annotation = _annotation(path, content)
            parts.setdefault(split_named(path.parent.name), {})[image] = annotation
            files.append(path)
    if not files:
        raise ValueError(
            f"{root} has no .json file by Labelme (with shapes and imagePath); give the folder of its files"
        )
    labels = {outline.label for part in parts.values() for each in part.values() for outline in each.outlines}
    return drawn_data_set(parts, sorted(labels - {"", BACKGROUND}), files=files)


def _content(path: Path) -> dict[str, Any] | None:
    content = read_annotations(path)
    return content if isinstance(content, dict) and "shapes" in content and "imagePath" in content else None


def _annotation(path: Path, content: Mapping[str, Any]) -> tuple[Path, Annotation]:
    height, width = content["imageHeight"], content["imageWidth"]
    if not (isinstance(height, int) and isinstance(width, int)):
        raise ValueError(f"it gives the image size {height}x{width}; save the annotation again with Labelme")
    size = image_size(height, width)
    outlines = [_outline(shape, order, size) for order, shape in enumerate(content["shapes"])]
    image = path.parent / PureWindowsPath(content["imagePath"]).as_posix()  # Labelme on Windows writes backslashes
    return image, Annotation(size=size, outlines=outlines)


def _outline(shape: Mapping[str, Any], order: int, size: tuple[int, int]) -> Outline:
    label, points = str(shape["label"]), [(number(x), number(y)) for x, y in shape["points"]]
    label = BACKGROUND if label in _BACKGROUNDS else "" if label in _IGNORED else label
    kind = shape.get("shape_type") or "polygon"
    if kind == "polygon" and len(points) >= 3:
        return Outline(label=label, polygons=[points], order=order)
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return Outline(label=label, polygons=[corners], order=order)
    if kind == "circle" and len(points) == 2:
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        return Outline(label=label, box=(x - radius, y - radius, x + radius, y + radius), order=order)
    if kind == "mask" and isinstance(shape.get("mask"), str):
        left, top = points[0]
        bitmap = PngBitmap(shape["mask"], most=size)
        return Outline(label=label, bitmap=bitmap, corner=(round(left), round(top)), order=order)
    raise ValueError(
        f"shape {order + 1} ('{label}') is a {kind} of {len(points)} points, which has no area: draw a polygon"
    )
