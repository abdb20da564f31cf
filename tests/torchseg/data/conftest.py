from __future__ import annotations

import base64
import io
import json
import multiprocessing
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def real_data():
    """Folder of the real photos, for tests that check a reader against what is really out there."""
    if not SHARED.is_dir():
        pytest.skip("the real photos are not beside this checkout")
    return SHARED


@pytest.fixture
def write_pair(tmp_path):
    """Writes a random picture with a mask of the given values, as `save` makes it, into images/ and masks/."""

    def write(
        name: str, *, values=(0, 1), size=(12, 16), mask_size=None, root=tmp_path, seed=None, save=Image.fromarray
    ) -> None:
        rng = np.random.default_rng(len(name) if seed is None else seed)
        for folder in ("images", "masks"):
            (root / folder).mkdir(exist_ok=True, parents=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / "images" / f"{name}.jpg")
        mask = rng.choice(np.array(values, np.uint8), mask_size or size)
        save(mask).save(root / "masks" / f"{name}.png")

    return write


@pytest.fixture
def fill(write_pair):
    """Writes pairs called picture0, picture1, ...; options are those of `write_pair`."""

    def run(count: int = 40, **options) -> None:
        for number in range(count):
            write_pair(f"picture{number}", **options)

    return run


@pytest.fixture
def masks_by_name():
    """Takes a data set and gives the mask of each image of the three labelled splits by its name."""
    return lambda data: {each.name: each.mask for part in (data.train, data.validation, data.test) for each in part}


@pytest.fixture
def spawned(monkeypatch):
    """Makes processes begin afresh, as on macOS and Windows, instead of as copies of this one."""
    spawn = multiprocessing.get_context("spawn")
    monkeypatch.setattr(multiprocessing.context._default_context, "_actual_context", spawn)
    assert multiprocessing.get_context() is spawn


SIZE = (12, 16)  # of the images of annotated data sets
COUNT = 30


def mask_of(number: int) -> np.ndarray:
    """Background, a car of 4 x 5 pixels and, above it, a person of 3 x 3 pixels."""
    mask = np.zeros(SIZE, np.uint8)
    (top, left), (up, along) = corners_of(number)
    mask[top : top + 4, left : left + 5] = 1
    mask[up : up + 3, along : along + 3] = 2
    return mask


def corners_of(number: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (number % 5 + 1, number % 7 + 1), (number % 4 + 4, number % 9 + 3)


def image_of(number: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8))


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _rectangle(top: int, left: int, height: int, width: int) -> list[tuple[int, int]]:
    return [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]


def shapes_of(number: int) -> list[tuple[str, list[tuple[int, int]]]]:
    (top, left), (up, along) = corners_of(number)
    return [("car", _rectangle(top, left, 4, 5)), ("person", _rectangle(up, along, 3, 3))]


def coco(root: Path) -> None:
    """Polygons of cars, and run lengths of persons."""
    content = {"images": [], "annotations": [], "categories": [{"id": 3, "name": "car"}, {"id": 7, "name": "person"}]}
    for number in range(COUNT):
        name = f"p{number:02d}.png"
        _save(image_of(number), root / "images" / name)
        content["images"].append({"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        flat = [float(each) for corner in shapes_of(number)[0][1] for each in corner]
        person = (mask_of(number) == 2).T.ravel()
        edges = np.flatnonzero(np.diff(np.concatenate(([False], person, [False])).astype(int)))
        runs = np.diff(np.concatenate(([0], edges, [person.size]))).tolist()
        shapes = [(3, [flat], 20), (7, {"size": SIZE, "counts": runs}, 9)]
        content["annotations"] += [
            {"id": 2 * number + at, "image_id": number, "category_id": kind, "segmentation": shape, "area": area}
            for at, (kind, shape, area) in enumerate(shapes[::-1])
        ]
    (root / "annotations").mkdir()
    (root / "annotations/instances_default.json").write_text(json.dumps(content))


def labelme(root: Path) -> None:
    for number in range(COUNT):
        _save(image_of(number), root / f"p{number:02d}.png")
        shapes = [
            {"label": label, "points": points[::2] if at else points, "shape_type": "rectangle" if at else "polygon"}
            for at, (label, points) in enumerate(shapes_of(number))
        ]
        content = {"shapes": shapes, "imagePath": f"p{number:02d}.png", "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
        (root / f"p{number:02d}.json").write_text(json.dumps(content))


def cvat(root: Path) -> None:
    """Polygons of cars, and masks of persons in run lengths."""
    lines = ["<annotations><meta><task><labels>"]
    lines += [f"<label><name>{name}</name></label>" for name in ("car", "person")]
    lines += ["</labels></task></meta>"]
    for number in range(COUNT):
        _save(image_of(number), root / "images" / f"p{number:02d}.png")
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in shapes_of(number)[0][1])
        up, along = corners_of(number)[1]
        lines += [
            f'<image id="{number}" name="p{number:02d}.png" width="{SIZE[1]}" height="{SIZE[0]}">',
            f'<mask label="person" rle="0, 9" left="{along}" top="{up}" width="3" height="3" z_order="1"/>',
            f'<polygon label="car" points="{points}" z_order="0"/></image>',
        ]
    (root / "annotations.xml").write_text("\n".join([*lines, "</annotations>"]))


def png_of(pixels: np.ndarray) -> str:
    """Pixels of an object as the SDK of Supervisely packs them: an indexed PNG whose value 0 is transparent."""
    image, file = Image.fromarray(pixels.astype(np.uint8), "P"), io.BytesIO()
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(file, format="PNG", transparency=0)
    return base64.b64encode(zlib.compress(file.getvalue())).decode()


def supervisely(root: Path) -> None:
    """Polygons of cars, and bitmaps or rectangles of persons, in two datasets."""
    titles = [
        {"title": name, "shape": "any", "color": colour} for name, colour in (("car", "#F00"), ("person", "#0F0"))
    ]
    for number in range(COUNT):
        dataset, name = root / f"ds{number % 2}", f"p{number:02d}.png"
        _save(image_of(number), dataset / "img" / name)
        (top, left), (up, along) = corners_of(number)
        corners = [[left, top], [left + 4, top], [left + 4, top + 3], [left, top + 3]]
        shape = {
            "geometryType": "rectangle",
            "points": {"exterior": [[along, up], [along + 2, up + 2]], "interior": []},
        }
        if number % 3:
            bitmap = {"data": png_of(np.ones((3, 3))), "origin": [along, up]}
            shape = {"geometryType": "bitmap", "bitmap": bitmap}
        car = {"classTitle": "car", "geometryType": "polygon", "points": {"exterior": corners, "interior": []}}
        content = {
            "size": {"height": SIZE[0], "width": SIZE[1]},
            "tags": [],
            "objects": [car, {"classTitle": "person"} | shape],
        }
        (dataset / "ann").mkdir(exist_ok=True)
        (dataset / f"ann/{name}.json").write_text(json.dumps(content))
    (root / "meta.json").write_text(json.dumps({"classes": titles, "tags": []}))


def voc(root: Path) -> None:
    """Masks with the palette of VOC, classes 7 (car) and 15 (person), and a border around them."""
    for number in range(COUNT):
        _save(image_of(number), root / "VOC2012/JPEGImages" / f"p{number:02d}.jpg")
        stored = np.array([0, 7, 15], np.uint8)[mask_of(number)]
        stored[0, 0] = 255
        mask = Image.fromarray(stored, "P")
        palette = [0] * 768
        for value, colour in {7: (128, 128, 128), 15: (192, 128, 128), 255: (224, 224, 192)}.items():
            palette[3 * value : 3 * value + 3] = colour
        mask.putpalette(palette)
        _save(mask, root / "VOC2012/SegmentationClass" / f"p{number:02d}.png")
    lists = root / "VOC2012/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for name, numbers in {"train": range(20), "val": range(20, COUNT), "trainval": range(COUNT)}.items():
        (lists / f"{name}.txt").write_text("".join(f"p{number:02d}\n" for number in numbers))


def cityscapes(root: Path) -> None:
    for number in range(COUNT):
        split, city = ("train", f"city{number % 4}") if number < 20 else ("val", "town")
        name = f"{city}_{number:06d}_000019"
        _save(image_of(number), root / f"leftImg8bit/{split}/{city}/{name}_leftImg8bit.png")
        mask = Image.fromarray(np.array([7, 26, 24], np.uint8)[mask_of(number)])
        _save(mask, root / f"gtFine/{split}/{city}/{name}_gtFine_labelIds.png")


def ade20k(root: Path) -> None:
    """The value 0 is ignored, so that background has the value 1."""
    for number in range(COUNT):
        split = "training" if number < 20 else "validation"
        _save(image_of(number), root / f"images/{split}/p{number:02d}.jpg")
        stored = mask_of(number) + np.uint8(1)
        stored[0, 0] = 0
        _save(Image.fromarray(stored), root / f"annotations/{split}/p{number:02d}.png")
    (root / "objectInfo150.txt").write_text(
        "Idx\tRatio\tTrain\tVal\tName\n1\t0.5\t9\t9\twall\n2\t0.1\t9\t9\tcar, auto\n3\t0.1\t9\t9\tperson\n"
    )


def roboflow(root: Path) -> None:
    for number in range(COUNT):
        split = ("train", "valid", "test")[number % 3]
        _save(image_of(number), root / split / f"p{number:02d}.jpg")
        _save(Image.fromarray(mask_of(number)), root / split / f"p{number:02d}_mask.png")
        (root / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, car\n2, person\n")


WRITERS = {
    "ade20k": ade20k,
    "cityscapes": cityscapes,
    "coco": coco,
    "cvat": cvat,
    "labelme": labelme,
    "roboflow": roboflow,
    "supervisely": supervisely,
    "voc": voc,
}


@pytest.fixture
def annotated():
    """Made-up copies of data sets as annotation tools and benchmarks lay them out, each with the same objects.

    `write[NAME](root)` writes one, `mask_of(number)` is the mask of an image, and `png_of(pixels)` a packed bitmap.
    """
    return SimpleNamespace(write=WRITERS, mask_of=mask_of, count=COUNT, png_of=png_of)
