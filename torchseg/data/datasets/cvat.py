"""Annotations by CVAT in its own XML format ("CVAT for images 1.1"). Source: https://docs.cvat.ai ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath
from xml.etree import ElementTree

from torchseg.data.annotation_file import image_size, naming, number
from torchseg.data.masks.bitmap import RunLengths
from torchseg.data.masks.drawn import Annotation, Outline, add_annotation, drawn_data_set, left_out_notes
from torchseg.data.named_files import NamedFiles
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import split_named

FILE = "annotations.xml"
_WITHOUT_AREA = ("points", "polyline", "skeleton", "cuboid")
_CORNERS = 256  # of the polygon that stands for a turned ellipse


def cvat(root: Path) -> DataSet:
    """Reads `annotations.xml` and the images that it names, in `root/images`, its subfolders, or `root`.

    Classes are `background` and the labels of the task in their order. Polygons, boxes, ellipses and masks are drawn
    by `z_order`; points and lines have no area and are left out. The subset of an image (train, val, test) is its
    split; without subsets, its name decides, see `three_splits`. For the exports "COCO" and "Segmentation mask", see
    the data sets `coco` and `voc`.

    Raises:
        ValueError: naming the file if it cannot be read, or an image that is missing.
    """
    path = root / FILE
    if not path.is_file():
        raise ValueError(f"{root} has no {FILE}; give the folder of an export 'CVAT for images 1.1'")
    try:
        tree = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is not XML ({error}); export the task again") from error
    if tree.find("track") is not None:
        raise ValueError(f"{path} holds tracks of a video; export the task as 'CVAT for images 1.1'")
    parts: dict[str, dict[Path, Annotation]] = {}
    images = NamedFiles()
    without_area = Counter(shape.tag for image in tree.iter("image") for shape in image if shape.tag in _WITHOUT_AREA)
    for image in tree.iter("image"):
        name, subset = image.get("name", ""), image.get("subset", "")
        with naming(path, f"image '{name}'"):
            size = image_size(image.get("height"), image.get("width"))
            outlines = [outline for shape in image if (outline := _outline(shape)) is not None]
        place = split_named(subset) or split_named(PureWindowsPath(name).parent.name)
        file = images.find(name, _places(root, subset)) or root / "images" / name
        add_annotation(parts, place, file, Annotation(size=size, outlines=outlines), source=f"{path}: '{name}'")
    labels = [label.findtext("name", "") for label in tree.iter("label")]
    drawn = {outline.label for part in parts.values() for each in part.values() for outline in each.outlines}
    labels = [label for label in dict.fromkeys(labels) if label] or sorted(drawn)
    data = drawn_data_set(parts, labels, files=[path])
    return replace(data, notes=(*data.notes, *left_out_notes(without_area)))


def _outline(shape: ElementTree.Element) -> Outline | None:
    label, order = shape.get("label", ""), number(shape.get("z_order", "0"))
    turn = number(shape.get("rotation", "0"))
    if shape.tag == "polygon":
        points = [tuple(map(number, point.split(","))) for point in shape.get("points", "").split(";")]
        return Outline(label=label, polygons=[[(x, y) for x, y in points]], order=order)
    if shape.tag == "box":
        left, top, right, bottom = (number(shape.get(side, "nan")) for side in ("xtl", "ytl", "xbr", "ybr"))
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        return Outline(label=label, polygons=[_turned(corners, turn)], order=order)
    if shape.tag == "ellipse":
        x, y, across, down = (number(shape.get(key, "nan")) for key in ("cx", "cy", "rx", "ry"))
        if turn:
            angles = [math.tau * step / _CORNERS for step in range(_CORNERS)]
            corners = [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]
            return Outline(label=label, polygons=[_turned(corners, turn)], order=order)
        return Outline(label=label, box=(x - across, y - down, x + across, y + down), order=order)
    if shape.tag == "mask":
        left, top, width, height = (int(shape.get(key, "0")) for key in ("left", "top", "width", "height"))
        runs = [int(run) for run in shape.get("rle", "").split(",")]
        bitmap = RunLengths(runs, *image_size(height, width), by_column=False)
        return Outline(label=label, bitmap=bitmap, corner=(left, top), order=order)
    return None


def _turned(corners: Sequence[tuple[float, float]], degrees: float) -> list[tuple[float, float]]:
    """The corners x, y of a shape, turned clockwise about its middle as the image is seen."""
    xs, ys = zip(*corners, strict=True)
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x + (a - x) * cos - (b - y) * sin, y + (a - x) * sin + (b - y) * cos) for a, b in corners]


def _places(root: Path, subset: str) -> tuple[Path, ...]:
    return root / "images", root / "images" / subset, root
