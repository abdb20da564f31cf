"""Projects of Supervisely. Source: https://developer.supervisely.com/getting-started/supervisely-annotation-format ."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torchseg.data.annotation_file import image_size, naming, number, read_annotations
from torchseg.data.images.io import find_files
from torchseg.data.masks.bitmap import PngBitmap
from torchseg.data.masks.drawn import BACKGROUND, Annotation, Outline, add_annotation, drawn_data_set, left_out_notes
from torchseg.data.sample import DataSet
from torchseg.data.splits.lists import split_of_folder
from torchseg.data.splits.official import split_named

_META = "meta.json"
_BACKGROUNDS = ("__bg__", BACKGROUND)
_WITHOUT_AREA = ("point", "line", "polyline", "graph")
_FARTHEST = 2**30  # pixels, of a corner from the image

Ring = list[tuple[int, int]]


def supervisely(root: Path) -> DataSet:
    """Reads `meta.json` and every `DATASET/ann/NAME.json` of a project, with its image in `DATASET/img`.

    Classes are `background` and those of the project in its order. Polygons, rectangles and bitmaps are drawn in the
    order of the file; the corners of a shape are pixels that belong to it. Points and lines have no area and are left
    out. Datasets called train, val and test are the splits, and so are tags of images with these names; otherwise the
    name of an image decides, see `three_splits`.

    Raises:
        ValueError: naming a file that cannot be read, or an image that is missing.
    """
    meta = _meta(root)
    content = read_annotations(meta)
    with naming(meta, "the list of classes"):
        titles = [str(each["title"]) for each in content["classes"]]
    files = find_files(meta.parent, "**/ann/*.json")
    if not files:
        raise ValueError(f"{meta.parent} has no DATASET/ann/*.json; give the folder of a project of Supervisely")
    parts: dict[str, dict[Path, Annotation]] = {}
    left_out: Counter[str] = Counter()
    for path in files:
        part, annotation = _annotation(path, titles, left_out)
        add_annotation(parts, part, _image(path), annotation, source=str(path))
    labels = [title for title in dict.fromkeys(titles) if title not in _BACKGROUNDS]
    data = drawn_data_set(parts, labels, files=[meta, *files])
    return replace(data, notes=(*data.notes, *left_out_notes(left_out)))


def _meta(root: Path) -> Path:
    """The list of classes in a project's folder, or in the only project of a folder."""
    found = [root / _META] if (root / _META).is_file() else find_files(root, f"*/{_META}")
    if len(found) != 1:
        what = f"{len(found)} projects" if found else f"no {_META}"
        raise ValueError(f"{root} has {what}; give the folder of one project of Supervisely")
    return found[0]


def _annotation(path: Path, titles: Sequence[str], left_out: Counter[str]) -> tuple[str, Annotation]:
    """The split and the objects of an image; counts the objects without area."""
    content = read_annotations(path)
    with naming(path, "the annotation"):
        size = image_size(content["size"]["height"], content["size"]["width"])
        tags = [str(tag["name"]) for tag in content.get("tags") or ()]
        objects = list(content["objects"])
    outlines = []
    for place, each in enumerate(objects):
        with naming(path, f"object {place}"):
            title, kind = str(each["classTitle"]), str(each["geometryType"])
            if kind in _WITHOUT_AREA:
                left_out[kind] += 1
                continue
            if title not in titles:
                raise ValueError(f"its class '{title}' is not in {_META}; export the project again")
            label = BACKGROUND if title in _BACKGROUNDS else title
            outlines.append(_outline(each, kind, Outline(label=label, order=place), size))
    named = split_named(path.parent.parent.name)
    part = named or next((split for tag in tags if (split := split_of_folder(Path(tag)))), "")
    return part, Annotation(size=size, outlines=outlines)


def _outline(each: Mapping[str, Any], kind: str, outline: Outline, size: tuple[int, int]) -> Outline:
    if kind == "bitmap":
        text, (left, top) = each["bitmap"]["data"], each["bitmap"]["origin"]
        if not isinstance(text, str):
            raise ValueError("its bitmap is no text; export again")
        return replace(outline, bitmap=PngBitmap(text, most=size), corner=(_pixel(left), _pixel(top)))
    if kind not in ("polygon", "rectangle"):
        raise ValueError(f"it is a {kind}; turn it into a polygon or a bitmap, and export again")
    exterior = _ring(each["points"]["exterior"])
    holes = [_ring(points) for points in each["points"].get("interior") or ()]
    if kind == "rectangle":
        (left, top), (right, bottom) = exterior
        exterior = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return replace(outline, rings=[exterior, *holes])


def _ring(points: Any) -> Ring:
    ring = [(_pixel(x), _pixel(y)) for x, y in points]
    if not ring:
        raise ValueError("it has a ring without corners; export again")
    return ring


def _pixel(value: Any) -> int:
    found = number(value)
    if abs(found) > _FARTHEST:
        raise ValueError(f"it has a corner at {value}; export again")
    return round(found)


def _image(annotation: Path) -> Path:
    """The image of an annotation, whose name has the ending of the image or, in old exports, has not."""
    image = annotation.parent.parent / "img" / annotation.stem
    if image.is_file():
        return image
    return next(iter(find_files(image.parent, f"{glob.escape(image.name)}.*")), image)
