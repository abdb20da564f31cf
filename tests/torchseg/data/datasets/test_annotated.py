"""The data sets of annotation tools and benchmarks: each made-up copy is read into the same masks."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from torchseg.data import inspect_data, open_data, write_folder

CLASSES = {
    "ade20k": ("wall", "car", "person"),
    **dict.fromkeys(("coco", "cvat", "labelme", "roboflow", "supervisely"), ("background", "car", "person")),
}
NAMES = ("ade20k", "cityscapes", "coco", "cvat", "labelme", "roboflow", "supervisely", "voc")
NUMBERS = {"cityscapes": (0, 13, 11), "voc": (0, 7, 15)}


@pytest.fixture(params=NAMES)
def name(request, annotated, tmp_path):
    annotated.write[request.param](tmp_path / "set")
    return request.param


@pytest.fixture(autouse=True)
def _folder(tmp_path):
    (tmp_path / "set").mkdir()


def test_objects_become_classes(annotated, name, tmp_path):
    data = open_data(name, tmp_path / "set", size=(8, 8))
    assert data.classes == CLASSES.get(name, data.classes)
    numbers = np.array(NUMBERS.get(name, (0, 1, 2)), np.uint8)
    seen = 0
    for part in (data.train, data.validation, data.test):
        for sample in part:
            expected = numbers[annotated.mask_of(int(re.search(r"(?:p|_0*)(\d{1,2})(?:_|$)", sample.name)[1]))]
            known = sample.mask != 255
            assert known.mean() > 0.99
            assert np.array_equal(sample.mask[known], expected[known])
            seen += 1
    assert seen == annotated.count
    assert inspect_data(data).faults == ()
    assert all(path.is_file() for path in data.files)


def test_a_plain_copy_can_be_written(name, tmp_path):
    data = open_data(name, tmp_path / "set", size=(8, 8))
    write_folder(data, tmp_path / "copy", size=(32, 32))
    copy = open_data("folder", tmp_path / "copy", size=(8, 8))
    assert copy.classes == data.classes
    assert np.array_equal(copy.test[0].mask, data.test[0].mask)


def test_hidden_copies_of_every_file_change_nothing(name, tmp_path):
    """What macOS leaves beside the files of a copied or unpacked data set."""
    expected = open_data(name, tmp_path / "set", size=(8, 8))
    for path in [path for path in (tmp_path / "set").rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        inside = tmp_path / "set/__MACOSX" / path.relative_to(tmp_path / "set")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.write_bytes(b"\0\5\x16\7")
    data = open_data(name, tmp_path / "set", size=(8, 8))
    assert (data.classes, data.notes) == (expected.classes, expected.notes)
    for part in ("train", "validation", "test"):
        assert getattr(data, part).pairs == getattr(expected, part).pairs


def test_a_folder_of_something_else_is_refused(tmp_path):
    for name in NAMES:
        with pytest.raises(ValueError, match=r"; give the folder "):
            open_data(name, tmp_path / "set", size=(8, 8))


def test_official_validation_is_the_test_split(annotated, tmp_path):
    annotated.write["voc"](tmp_path / "set")
    data = open_data("voc", tmp_path / "set", size=(8, 8))
    assert {sample.name for sample in data.test} == {f"p{number}" for number in range(20, 30)}
    assert len(data.train) + len(data.validation) == 20


@pytest.mark.parametrize("name", ["coco", "cvat", "labelme", "supervisely"])
def test_a_missing_image_is_named(annotated, tmp_path, name):
    annotated.write[name](tmp_path / "set")
    next((tmp_path / "set").rglob("p03.png")).unlink()
    with pytest.raises(ValueError, match=r"the annotations name the image .*p03\.png, which is missing"):
        open_data(name, tmp_path / "set", size=(8, 8))


def test_labels_of_labelme_without_area_are_refused_and_ignored_ones_ignored(annotated, tmp_path):
    annotated.write["labelme"](tmp_path / "set")
    path = tmp_path / "set/p00.json"
    content = json.loads(path.read_text())
    content["shapes"][1] |= {"label": "__ignore__", "shape_type": "circle", "points": [[6, 6], [6, 8]]}
    path.write_text(json.dumps(content))
    data = open_data("labelme", tmp_path / "set", size=(8, 8))
    masks = {sample.name: sample.mask for part in (data.train, data.validation, data.test) for sample in part}
    assert (masks["p00"] == 255).sum() == 12
    content["shapes"][1]["shape_type"] = "line"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"p00\.json: .*shape 2 \(''\) is a line of 2 points, which has no area: draw"):
        open_data("labelme", tmp_path / "set", size=(8, 8))


def test_a_label_map_of_cvat_names_classes_and_colours(annotated, tmp_path):
    annotated.write["voc"](tmp_path / "set")
    (tmp_path / "set/VOC2012/labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nperson:192,128,128::\ncar:128,128,128::\n"
        "ignore:224,224,192::\n"
    )
    data = open_data("voc", tmp_path / "set", size=(8, 8))
    assert data.classes == ("background", "person", "car")
    assert set(np.unique(data.test[0].mask)) == {0, 1, 2, 255}


ODD = [None, "x", [], {}, -1, 0, 1e30, 2**70, True, math.nan, math.inf, [[None]], {"size": [9, 9], "counts": [-9, 90]}]


def _places(content):
    """Every place of a JSON document: a container and the key or index in it."""
    places = []
    for key in content if isinstance(content, dict) else range(len(content)):
        places.append((content, key))
        if isinstance(content[key], (dict, list)):
            places += _places(content[key])
    return places


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("name", ["coco", "labelme", "supervisely"])
def test_a_changed_annotation_is_read_or_refused_with_the_name_of_a_file(annotated, name, seed, tmp_path):
    random = np.random.default_rng(seed)
    annotated.write[name](tmp_path / "set")
    path = next((tmp_path / "set").rglob("*.json"))
    content = json.loads(path.read_text())
    container, key = _places(content)[int(random.integers(len(_places(content))))]
    if seed % 4:
        container[key] = ODD[int(random.integers(len(ODD)))]
    else:
        del container[key]
    path.write_text(json.dumps(content))
    refusal = ""
    try:
        data = open_data(name, tmp_path / "set", size=(8, 8))
        for part in (data.train, data.validation, data.test):
            for index in range(len(part)):
                part[index]
    except ValueError as error:
        refusal = str(error)
    assert not refusal or str(tmp_path / "set") in refusal


@pytest.mark.parametrize("name", ["coco", "labelme", "supervisely"])
def test_an_annotation_that_is_nested_too_deep_is_refused(annotated, name, tmp_path):
    annotated.write[name](tmp_path / "set")
    next((tmp_path / "set").rglob("*.json")).write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not JSON"):
        open_data(name, tmp_path / "set", size=(8, 8))


@pytest.mark.parametrize(
    ("attribute", "value"), [("width", None), ("height", "x"), ("width", "100000"), ("height", "0")]
)
def test_an_image_of_cvat_without_a_size_is_named(annotated, attribute, value, tmp_path):
    annotated.write["cvat"](tmp_path / "set")
    path = tmp_path / "set/annotations.xml"
    tree = ElementTree.parse(path)
    image = next(tree.getroot().iter("image"))
    image.set("height", "100000")
    image.set(attribute, value) if value is not None else image.attrib.pop(attribute)
    tree.write(path)
    with pytest.raises(ValueError, match=r"annotations\.xml: image '.*' "):
        open_data("cvat", tmp_path / "set", size=(8, 8))


@pytest.mark.parametrize("side", ["16", 16.0, None])
def test_an_image_size_of_labelme_that_is_no_whole_number_is_refused(annotated, side, tmp_path):
    annotated.write["labelme"](tmp_path / "set")
    path = tmp_path / "set/p00.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"imageWidth": side}))
    with pytest.raises(ValueError, match=r"p00\.json: .*save the annotation again with Labelme"):
        open_data("labelme", tmp_path / "set", size=(8, 8))


def _p00(data):
    return next(each.mask for part in (data.train, data.validation, data.test) for each in part if each.name == "p00")


def _with_shape(root, shape):
    """Gives the first image of a task of CVAT this shape alone."""
    path = root / "annotations.xml"
    tree = ElementTree.parse(path)
    image = next(tree.getroot().iter("image"))
    for child in list(image):
        image.remove(child)
    image.append(ElementTree.fromstring(shape))
    tree.write(path)
    return open_data("cvat", root, size=(8, 8))


@pytest.mark.parametrize("degrees", [90, -90, 270, 450])
def test_turned_boxes_of_cvat_are_drawn_turned(annotated, tmp_path, degrees):
    annotated.write["cvat"](tmp_path / "set")
    shape = f'<box label="car" xtl="4" ytl="3" xbr="10" ybr="7" rotation="{degrees}"/>'
    expected = np.zeros((12, 16), np.uint8)
    expected[2:8, 5:9] = 1
    assert np.array_equal(_p00(_with_shape(tmp_path / "set", shape)), expected)


def test_turned_ellipses_of_cvat_are_drawn_turned(annotated, tmp_path):
    annotated.write["cvat"](tmp_path / "set")
    upright = _p00(_with_shape(tmp_path / "set", '<ellipse label="car" cx="8" cy="6" rx="2" ry="5"/>'))
    turned = _p00(_with_shape(tmp_path / "set", '<ellipse label="car" cx="8" cy="6" rx="5" ry="2" rotation="90"/>'))
    assert upright.sum() > 20
    assert np.array_equal(turned, upright)
    slanted = _p00(_with_shape(tmp_path / "set", '<ellipse label="car" cx="8" cy="6" rx="5" ry="1" rotation="45"/>'))
    shown = [bool(slanted[place]) for place in ((3, 5), (8, 10), (3, 10), (8, 5))]
    assert shown == [True, True, False, False]  # clockwise as seen: from the upper left to the lower right


def test_shapes_of_cvat_without_area_are_counted_and_videos_refused(annotated, tmp_path):
    annotated.write["cvat"](tmp_path / "set")
    data = _with_shape(tmp_path / "set", '<polyline label="car" points="1,1;5,5"/>')
    assert data.notes == ("1 object of the kind polyline has no area and is left out",)
    (tmp_path / "set/annotations.xml").write_text('<annotations><track id="0" label="car"/></annotations>')
    with pytest.raises(ValueError, match="holds tracks of a video; export the task as"):
        open_data("cvat", tmp_path / "set", size=(8, 8))


def test_masks_of_labelme_are_drawn(annotated, tmp_path):
    annotated.write["labelme"](tmp_path / "set")
    path, file = tmp_path / "set/p00.json", io.BytesIO()
    pixels = np.array([[0, 1, 1], [1, 1, 0]], bool)
    Image.fromarray(pixels).save(file, format="PNG")
    shape = {"label": "car", "shape_type": "mask", "points": [[5.0, 3.0], [7.0, 4.0]]}
    shape["mask"] = base64.b64encode(file.getvalue()).decode()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shapes": [shape]}))
    expected = np.zeros((12, 16), np.uint8)
    expected[3:5, 5:8] = pixels
    assert np.array_equal(_p00(open_data("labelme", tmp_path / "set", size=(8, 8))), expected)
