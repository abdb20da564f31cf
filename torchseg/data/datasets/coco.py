"""Annotations in the format of COCO. Source: https://cocodataset.org/#format-data ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torchseg.data.annotation_file import image_size, naming, number, read_annotations
from torchseg.data.images.io import find_files
from torchseg.data.masks.bitmap import RunLengths
from torchseg.data.masks.drawn import Annotation, Outline, drawn_data_set
from torchseg.data.named_files import NamedFiles
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import split_named


def coco(root: Path) -> DataSet:
    """Reads every `*.json` below `root` that has images, annotations and categories, as many tools export it.

    The splits are named by the files or their folders (`instances_train2017.json`, `valid/_annotations.coco.json`);
    see `three_splits`. Image files are searched beside the annotations, in folders called after their split, and in
    `images/`. Classes are `background` and the categories in the order of their numbers; a category is known by its
    name, because each file has numbers of its own. An image that is listed twice has the objects of both lists.
    Smaller objects lie above larger ones. Objects of which only a crowd's area is known (`iscrowd`) are drawn like
    others. Captions and panoptic annotations beside those are not read.

    Raises:
        ValueError: if there is no annotation file, or an image that it names is missing.
    """
    found = {path: content for path in find_files(root, "**/*.json") if (content := _content(path))}
    if not found:
        raise ValueError(
            f"{root} has no .json file with images, annotations and categories; give the folder of a COCO export"
        )
    numbered: list[tuple[Any, str]] = []
    parts: dict[str, dict[Path, Annotation]] = defaultdict(dict)
    files = NamedFiles()
    for path, content in found.items():
        with naming(path, "the list of categories"):
            categories = {each["id"]: str(each["name"]) for each in content["categories"]}
        numbered += categories.items()
        part = parts[split_named(path.stem) or split_named(path.parent.name)]
        find = partial(_image, listing=path, root=root, files=files)
        for image, annotation in _annotations(path, content, categories, find):
            part[image] = _joined(path, image, part.get(image), annotation)
    with naming(root, "the numbers of the categories"):
        labels = list(dict.fromkeys(name for _, name in sorted(numbered, key=lambda each: each[0])))
    return drawn_data_set(parts, labels, files=list(found))


def _content(path: Path) -> dict[str, Any] | None:
    content = read_annotations(path)
    is_coco = isinstance(content, dict) and all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    )
    is_panoptic = is_coco and any(isinstance(each, dict) and "segments_info" in each for each in content["annotations"])
    return content if is_coco and not is_panoptic else None


def _annotations(
    path: Path, content: Mapping[str, Any], categories: Mapping[int, str], find: Callable[[str], Path]
) -> list[tuple[Path, Annotation]]:
    objects: dict[int, list[Outline]] = defaultdict(list)
    with naming(path, "the list of images"):
        sizes = {image["id"]: image_size(image["height"], image["width"]) for image in content["images"]}
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
        files = {key: find(name) for key, name in names.items()}
        _check_apart(names, files)
    for place, each in enumerate(content["annotations"]):
        with naming(path, f"annotation {place}"):
            objects[each["image_id"]].append(_outline(each, categories, sizes[each["image_id"]]))
    return [(file, Annotation(size=sizes[key], outlines=objects[key])) for key, file in files.items()]


def _check_apart(names: Mapping[int, str], files: Mapping[int, Path]) -> None:
    """Raises a ValueError if two names are found to be one file, because the folders in front of them are missing."""
    first: dict[Path, str] = {}
    for key, file in files.items():
        if first.setdefault(file, names[key]) != names[key]:
            raise ValueError(
                f"'{first[file]}' and '{names[key]}' would both be {file}; put images into the folders that it names"
            )


def _joined(path: Path, image: Path, first: Annotation | None, second: Annotation) -> Annotation:
    """The objects of an image in two lists."""
    if first is None:
        return second
    if first.size != second.size:
        sizes = " and ".join(f"{height}x{width}" for height, width in (first.size, second.size))
        raise ValueError(f"{path}: image {image} is listed twice, with the sizes {sizes}; correct the list")
    return Annotation(size=first.size, outlines=[*first.outlines, *second.outlines])


def _outline(each: Mapping[str, Any], categories: Mapping[int, str], size: tuple[int, int]) -> Outline:
    if each["category_id"] not in categories:
        raise ValueError(f"its category {each['category_id']} is not in the list of categories; export them together")
    label, shape = categories[each["category_id"]], each.get("segmentation")
    area = number(each.get("area") or 0)
    if isinstance(shape, Mapping):
        height, width = image_size(*shape.get("size", size))
        counts = shape["counts"]
        if (height, width) != size:
            raise ValueError(f"its mask is {height}x{width} and its image {size[0]}x{size[1]}; export again")
        runs = _runs(counts) if isinstance(counts, str) else counts
        bitmap = RunLengths(runs, height, width, by_column=True)
        return Outline(label=label, bitmap=bitmap, order=-(area or sum(runs[1::2])))
    if shape:
        flats = [[number(value) for value in flat] for flat in shape if len(flat) >= 6]
        polygons = [list(zip(flat[::2], flat[1::2], strict=True)) for flat in flats]
        return Outline(label=label, polygons=polygons, order=-(area or sum(map(_area, polygons))))
    raise ValueError("it has no segmentation, only a box; export polygons or masks")


def _area(polygon: Sequence[tuple[float, float]]) -> float:
    """Area in pixels, by the shoelace formula."""
    following = [*polygon[1:], polygon[0]]
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(polygon, following, strict=True))) / 2


def _runs(text: str) -> list[int]:
    """Run lengths of the compressed form: five bits a character, and differences to the last run but one."""
    runs: list[int] = []
    value = shift = 0
    for character in text.encode("ascii"):
        bits = character - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


def _image(name: str, listing: Path, root: Path, files: NamedFiles) -> Path:
    """The image's file: the first of the usual places where it is."""
    part = listing.stem.rpartition("_")[2]
    folders = (
        listing.parent,
        *(root / each for each in (part, "images", f"images/{part}", "", "data")),
        *(listing.parent / "data", listing.parent.parent / "images"),
    )
    return files.find(name, folders) or listing.parent / name
