from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from torchseg.data import open_data


@pytest.fixture
def project(annotated, tmp_path):
    annotated.write["supervisely"](tmp_path / "project")
    return tmp_path / "project"


def _open(root):
    return open_data("supervisely", root, size=(8, 8))


def _masks(data):
    return {sample.name: sample.mask for part in (data.train, data.validation, data.test) for sample in part}


def _changed(project, objects, **more):
    """Gives the image p00 other objects."""
    path = project / "ds0/ann/p00.png.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"objects": objects} | more))


def _polygon(exterior, *, title="car", interior=()):
    points = {"exterior": exterior, "interior": list(interior)}
    return {"classTitle": title, "geometryType": "polygon", "points": points}


def test_the_parent_folder_of_a_project_will_do(project, tmp_path):
    assert len(_masks(_open(tmp_path))) == len(_masks(_open(project))) == 30
    (tmp_path / "other").mkdir()
    (tmp_path / "other/meta.json").write_text("{}")
    with pytest.raises(ValueError, match="has 2 projects; give the folder of one project"):
        _open(tmp_path)


def test_holes_are_not_part_of_an_object_and_later_objects_lie_above(project):
    hole = [[4, 4], [8, 4], [8, 7], [4, 7]]
    _changed(
        project,
        [
            _polygon([[2, 2], [10, 2], [10, 9], [2, 9]], interior=[hole]),
            _polygon([[9, 8], [11, 8], [11, 10], [9, 10]], title="person"),
        ],
    )
    expected = np.zeros((12, 16), np.uint8)
    expected[2:10, 2:11] = 1
    expected[4:8, 4:9] = 0
    expected[8:11, 9:12] = 2
    assert np.array_equal(_masks(_open(project))["p00"], expected)


def test_a_bitmap_has_its_shape_and_place(project, annotated):
    pixels = np.array([[0, 1, 0], [1, 1, 1]])
    bitmap = {"data": annotated.png_of(pixels), "origin": [7, 3]}
    _changed(project, [{"classTitle": "person", "geometryType": "bitmap", "bitmap": bitmap}])
    expected = np.zeros((12, 16), np.uint8)
    expected[3:5, 7:10] = 2 * pixels
    assert np.array_equal(_masks(_open(project))["p00"], expected)


def test_names_of_datasets_are_the_splits(project):
    for part in ("train", "val", "test"):
        (project / f"ds_{part}/ann").mkdir(parents=True)
        (project / f"ds_{part}/img").mkdir()
    for number in range(30):
        part = ("train", "val", "test")[number % 3]
        for kind, name in (("img", f"p{number:02d}.png"), ("ann", f"p{number:02d}.png.json")):
            (project / f"ds{number % 2}/{kind}/{name}").rename(project / f"ds_{part}/{kind}/{name}")
    data = _open(project)
    assert [len(each) for each in (data.train, data.validation, data.test)] == [10, 10, 10]


def test_tags_of_images_are_the_splits(project):
    for number in range(30):
        path = project / f"ds{number % 2}/ann/p{number:02d}.png.json"
        tag = "val" if number < 4 else "test" if number < 9 else "train"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"tags": [{"name": "night"}, {"name": tag}]}))
    data = _open(project)
    assert [len(each) for each in (data.train, data.validation, data.test)] == [21, 4, 5]


def test_annotations_may_be_named_without_the_ending_of_the_image(project):
    expected = _masks(_open(project))["p00"]
    (project / "ds0/ann/p00.png.json").rename(project / "ds0/ann/p00.json")
    assert np.array_equal(_masks(_open(project))["p00"], expected)


def test_what_is_left_out_is_counted(project):
    lines = {"classTitle": "car", "geometryType": "line", "points": {"exterior": [[1, 1], [5, 5]], "interior": []}}
    _changed(project, [lines, lines | {"geometryType": "point"}, lines])
    Image.new("RGB", (16, 12)).save(project / "ds1/img/new.png")
    (project / "ds1/img/._p01.png").write_bytes(b"x")
    (project / "ds1/ann/._p01.png.json").write_bytes(b"x")
    assert _open(project).notes == (
        "1 image beside those has no annotation and is left out",
        "2 objects of the kind line have no area and are left out",
        "1 object of the kind point has no area and is left out",
    )


def test_a_background_of_its_own_is_the_background(project):
    meta = json.loads((project / "meta.json").read_text())
    meta["classes"].insert(1, {"title": "__bg__"})
    (project / "meta.json").write_text(json.dumps(meta))
    _changed(project, [_polygon([[0, 0], [9, 0], [9, 9], [0, 9]]), _polygon([[0, 0], [9, 0], [9, 4]], title="__bg__")])
    data = _open(project)
    assert data.classes == ("background", "car", "person")
    assert _masks(data)["p00"][0, 9] == 0


BITMAP = {"classTitle": "car", "geometryType": "bitmap"}


@pytest.mark.parametrize(
    ("each", "message"),
    [
        (_polygon([[1, 1], [5, 1], [5, 5]], title="dog"), r"object 0 cannot be read: its class 'dog' is not in meta"),
        (_polygon([]), "object 0 cannot be read: it has a ring without corners"),
        (_polygon([[1, 1], [1e300, 1], [5, 5]]), "object 0 cannot be read: it has a corner at 1e[+]300"),
        ({"classTitle": "car", "geometryType": "cuboid"}, "it is a cuboid; turn it into a polygon or a bitmap"),
        (_polygon([[1, 1], [5, 1], [5, 5]]) | {"geometryType": "rectangle"}, "object 0 cannot be read"),
        (BITMAP, "object 0 lacks, or names an unknown, 'bitmap'"),
        (BITMAP | {"bitmap": {"data": 3, "origin": [0, 0]}}, "object 0 cannot be read: its bitmap is no text"),
        (BITMAP | {"bitmap": {"data": "eJ", "origin": [0]}}, "object 0 cannot be read"),
    ],
)
def test_a_broken_object_is_refused_with_its_file(project, each, message):
    _changed(project, [each])
    with pytest.raises(ValueError, match=rf"p00\.png\.json: {message}" if message.startswith("object") else message):
        _open(project)


@pytest.mark.parametrize("origin", [[16, 0], [0, 10**9], [-5, 0]])
def test_a_bitmap_outside_the_image_is_refused_with_the_image(project, annotated, origin):
    _changed(project, [BITMAP | {"bitmap": {"data": annotated.png_of(np.ones((2, 3))), "origin": origin}}])
    with pytest.raises(ValueError, match=r"annotation of .*p00\.png: its bitmap begins at .*, outside the image"):
        _masks(_open(project))


def test_an_annotation_of_another_size_is_refused(project):
    _changed(project, [], size={"height": 12, "width": 15})
    with pytest.raises(ValueError, match=r"image .*p00\.png is 12x16 and its annotation is for 12x15"):
        _masks(_open(project))


def test_a_project_without_annotations_is_refused(tmp_path):
    (tmp_path / "meta.json").write_text('{"classes": [{"title": "car"}]}')
    with pytest.raises(ValueError, match=r"has no DATASET/ann/\*\.json; give the folder of a project of Supervisely"):
        _open(tmp_path)


def test_more_classes_than_a_mask_holds_are_refused(project):
    meta = {"classes": [{"title": title} for title in ("car", "person", *map(str, range(300)))]}
    (project / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(
        ValueError, match=r"meta\.json and the files beside it name 303 classes .* at most 255; leave some"
    ):
        _open(project)
