"""Annotations in the format of COCO. Source: https://cocodataset.org/#format-data ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from torchseg.data.annotation_file import image_size, naming, number, read_annotations
from torchseg.data.images.io import find_files
from torchseg.data.masks.bitmap import RunLengths
from torchseg.data.masks.drawn import Annotation, Outline, drawn_data_set
from torchseg.data.sample import DataSet
from torchseg.data.splits.official import split_named


def coco(root: Path) -> DataSet:
    """Reads every `*.json` below `root` that has images, annotations and categories, as many tools export it.

    The splits are named by the files or their folders (`instances_train2017.json`, `valid/_annotations.coco.json`);
    see `three_splits`. Image files are searched beside the annotations, in folders called after their split, and in
    `images/`. Classes are `background` and the categories in the order of their numbers. Smaller objects lie above
    larger ones. Objects of which only a crowd's area is known (`iscrowd`) are drawn like others.

    Raises:
        ValueError: if there is no annotation file, or an image that it names is missing.
    """
    found = {path: content for path in find_files(root, "**/*.json") if (content := _content(path))}
    if not found:
        raise ValueError(
            f"{root} has no .json file with images, annotations and categories; give the folder of a COCO export"
        )
    categories: dict[int, str] = {}
    for path, content in found.items():
        with naming(path, "the list of categories"):
            categories |= {each["id"]: str(each["name"]) for each in content["categories"]}
    parts: dict[str, dict[Path, Annotation]] = defaultdict(dict)
    for path, content in found.items():
        part = split_named(path.stem) or split_named(path.parent.name)
        parts[part] |= _annotations(path, content, categories, root)
    with naming(root, "the numbers of the categories"):
        labels = list(dict.fromkeys(categories[key] for key in sorted(categories)))
    return drawn_data_set(parts, labels, files=list(found))


def _content(path: Path) -> dict[str, Any] | None:
    content = read_annotations(path)
    is_coco = isinstance(content, dict) and all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    )
    return content if is_coco else None


def _annotations(
    path: Path, content: Mapping[str, Any], categories: Mapping[int, str], root: Path
) -> dict[Path, Annotation]:
    objects: dict[int, list[Outline]] = defaultdict(list)
    with naming(path, "the list of images"):
        sizes = {image["id"]: image_size(image["height"], image["width"]) for image in content["images"]}
        files = {image["id"]: _image(image["file_name"], path, root) for image in content["images"]}
    for place, each in enumerate(content["annotations"]):
        with naming(path, f"annotation {place}"):
            objects[each["image_id"]].append(_outline(each, categories, sizes[each["image_id"]]))
    return {file: Annotation(size=sizes[key], outlines=objects[key]) for key, file in files.items()}


def _outline(each: Mapping[str, Any], categories: Mapping[int, str], size: tuple[int, int]) -> Outline:
    if each["category_id"] not in categories:
        raise ValueError(f"its category {each['category_id']} is not in the list of categories; export them together")
    label, shape = categories[each["category_id"]], each.get("segmentation")
    order = -number(each.get("area") or 0)
    if isinstance(shape, Mapping):
        height, width = image_size(*shape.get("size", size))
        counts = shape["counts"]
        if (height, width) != size:
            raise ValueError(f"its mask is {height}x{width} and its image {size[0]}x{size[1]}; export again")
        runs = _runs(counts) if isinstance(counts, str) else counts
        return Outline(label=label, bitmap=RunLengths(runs, height, width, by_column=True), order=order)
    if shape:
        flats = [[number(value) for value in flat] for flat in shape if len(flat) >= 6]
        polygons = [list(zip(flat[::2], flat[1::2], strict=True)) for flat in flats]
        return Outline(label=label, polygons=polygons, order=order)
    raise ValueError("it has no segmentation, only a box; export polygons or masks")


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


def _image(name: str, listing: Path, root: Path) -> Path:
    """The image's file: the first of the usual places where it is."""
    part, name = listing.stem.rpartition("_")[2], PureWindowsPath(name).as_posix()  # some tools write backslashes
    folders: Sequence[Path] = (
        listing.parent,
        *(root / each for each in (part, "images", f"images/{part}", "", "data")),
        *(listing.parent / "data", listing.parent.parent / "images"),
    )
    names = (name, PurePosixPath(name).name)  # alone, where the folders are those of another machine
    places = (folder / each for each in names for folder in folders)
    return next((place for place in places if place.is_file()), listing.parent / name)
