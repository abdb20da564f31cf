"""Annotations by Labelme: one JSON file per image. Source: https://github.com/wkentaro/labelme ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchseg.data.annotation_file import image_size, naming, number, read_annotations
from torchseg.data.images.io import find_files
from torchseg.data.masks.bitmap import PngBitmap
from torchseg.data.masks.drawn import BACKGROUND, Annotation, Outline, add_annotation, drawn_data_set
from torchseg.data.named_files import NamedFiles
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import split_named

_BACKGROUNDS = ("_background_", "__background__", BACKGROUND)
_FOUR_CORNERS = ("rectangle", "rotation")  # as X-AnyLabeling writes them
_IGNORED = ("__ignore__", "_ignore_", "ignore")


def labelme(root: Path) -> DataSet:
    """Reads every `*.json` below `root` that Labelme or X-AnyLabeling wrote, and the image that it names.

    The image is where the file says, or has the same name beside the file or in `images/`.

    Classes are `background` and the labels in alphabetical order; the label `__ignore__` is ignored. Polygons,
    rectangles, circles and masks are drawn in the order of the file; points and lines have no area and are refused.
    Subfolders called train, val and test are the splits; otherwise the name of an image decides, see `three_splits`.

    Raises:
        ValueError: naming a file that cannot be read, or an image that is missing.
    """
    parts: dict[str, dict[Path, Annotation]] = {}
    files, images = [], NamedFiles()
    for path in find_files(root, "**/*.json"):
        if content := _content(path):
            with naming(path, "the annotation"):
                annotation = _annotation(content)
                image = _image(path, str(content["imagePath"]), root, images)
            add_annotation(parts, split_named(path.parent.name), image, annotation, source=str(path))
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


def _annotation(content: Mapping[str, Any]) -> Annotation:
    height, width = content["imageHeight"], content["imageWidth"]
    if not (isinstance(height, int) and isinstance(width, int)):
        raise ValueError(f"it gives the image size {height}x{width}; save the annotation again with Labelme")
    size = image_size(height, width)
    outlines = [_outline(shape, order, size) for order, shape in enumerate(content["shapes"])]
    return Annotation(size=size, outlines=outlines)


def _image(path: Path, name: str, root: Path, images: NamedFiles) -> Path:
    places = (path.parent, *(parent / "images" for parent in (path.parent, path.parent.parent, root)))
    return images.find(name, places) or path.parent / name


def _outline(shape: Mapping[str, Any], order: int, size: tuple[int, int]) -> Outline:
    label, points = str(shape["label"]), [(number(x), number(y)) for x, y in shape["points"]]
    label = BACKGROUND if label in _BACKGROUNDS else "" if label in _IGNORED else label
    kind = shape.get("shape_type") or "polygon"
    if len(points) >= 3 and (kind == "polygon" or (kind in _FOUR_CORNERS and len(points) == 4)):
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
