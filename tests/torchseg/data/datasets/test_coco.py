"""Annotations in the format of COCO: how lists, categories and images belong together."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from torchseg.data import open_data

LISTING = "annotations/instances_default.json"


@pytest.fixture
def root(annotated, tmp_path):
    annotated.write["coco"](tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture(autouse=True)
def _folder(tmp_path):
    (tmp_path / "set").mkdir()


def _open(root):
    return open_data("coco", root, size=(8, 8))


def _content(root):
    return json.loads((root / LISTING).read_text())


def _write(root, content, listing=LISTING):
    (root / listing).write_text(json.dumps(content))


@pytest.fixture
def check(root, annotated, masks_by_name):
    """Opens the data set and finds every mask as it was annotated."""

    def run():
        data = _open(root)
        masks = masks_by_name(data)
        assert data.classes == ("background", "car", "person")
        assert len(masks) == annotated.count
        assert all(np.array_equal(mask, annotated.mask_of(int(name[1:]))) for name, mask in masks.items())

    return run


def test_compressed_runs_of_coco_are_read(root):
    """The text is what pycocotools 2.0.11 writes for these pixels."""
    listing = root / LISTING
    content = json.loads(listing.read_text())
    expected = np.zeros((12, 16), np.uint8)
    expected[2:5, 3:9] = 1
    expected[7, 1:15] = 1
    content["annotations"] = [
        {
            "image_id": each["id"],
            "category_id": 3,
            "segmentation": {"size": [12, 16], "counts": "c01;0K2LN42LN42LN42LN42LN42LN9000000000005"},
            "area": 1,
        }
        for each in content["images"]
    ]
    listing.write_text(json.dumps(content))
    assert np.array_equal(_open(root).train[0].mask, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segmentation": {"size": [12, 16], "counts": [5, 5]}}, "its runs fill 10 pixels of a bitmap of 12x16"),
        ({"segmentation": []}, "it has no segmentation, only a box; export polygons or masks"),
        ({"category_id": 99}, r"annotation 0 cannot be read: its category 99 is not in the list of categories"),
    ],
)
def test_a_broken_annotation_of_coco_is_named(root, change, message):
    listing = root / LISTING
    content = json.loads(listing.read_text())
    content["annotations"][0] |= change
    listing.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        _open(root)


def test_categories_of_coco_may_be_numbered_by_texts(root):
    expected = _open(root).train[0].mask
    listing = root / LISTING
    content = json.loads(listing.read_text())
    for each in content["categories"]:
        each["id"] = str(each["id"])
    for each in content["annotations"]:
        each["category_id"] = str(each["category_id"])
    listing.write_text(json.dumps(content))
    assert np.array_equal(_open(root).train[0].mask, expected)


@pytest.mark.parametrize("written", ["data\\{}", "/content/dataset/images/{}", "C:\\photos\\{}", "./{}"])
@pytest.mark.parametrize("place", ["data", "images"])
def test_images_of_coco_are_found_where_tools_put_them(root, written, place):
    (root / "images").rename(root / place)
    listing = root / LISTING
    content = json.loads(listing.read_text())
    for each in content["images"]:
        each["file_name"] = written.format(each["file_name"])
    listing.write_text(json.dumps(content))
    data = _open(root)
    assert data.train[0].mask.any()


def test_a_mask_of_coco_that_is_not_of_the_size_of_its_image_is_refused(root):
    listing = root / LISTING
    content = json.loads(listing.read_text())
    content["annotations"][0]["segmentation"] = {"size": [6, 8], "counts": [0, 48]}
    listing.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"annotation 0 cannot be read: its mask is 6x8 and its image 12x16"):
        _open(root)


def test_categories_are_known_by_name_where_files_number_them_differently(root, check):
    content = _content(root)
    (root / LISTING).unlink()
    for part, first, last, numbers in (("train", 0, 20, {3: 3, 7: 7}), ("val", 20, 30, {3: 7, 7: 3})):
        listed = {
            "images": [each for each in content["images"] if first <= each["id"] < last],
            "annotations": [
                each | {"category_id": numbers[each["category_id"]]}
                for each in content["annotations"]
                if first <= each["image_id"] < last
            ],
            "categories": [each | {"id": numbers[each["id"]]} for each in content["categories"]],
        }
        _write(root, listed, f"annotations/instances_{part}.json")
    check()


def test_keypoints_and_panoptic_annotations_beside_the_masks_take_nothing_away(root, check):
    content = _content(root)
    persons = [each | {"keypoints": [1, 1, 2]} for each in content["annotations"] if each["category_id"] == 7]
    _write(
        root,
        content | {"annotations": persons, "categories": [{"id": 7, "name": "person"}]},
        "annotations/person_keypoints_default.json",
    )
    segments = [{"image_id": 0, "file_name": "p00.png", "segments_info": [{"id": 5, "category_id": 3}]}]
    _write(root, content | {"annotations": segments}, "annotations/panoptic_default.json")
    check()


def test_an_image_that_is_listed_twice_has_the_objects_of_both(root, check):
    content = _content(root)
    content["images"] += [each | {"id": each["id"] + 100} for each in content["images"]]
    for each in content["annotations"]:
        each["image_id"] += 100 * (each["category_id"] == 7)
    _write(root, content)
    check()
    content["images"][0]["width"] = 15
    _write(root, content)
    with pytest.raises(ValueError, match=r"p00\.png is listed twice, with the sizes 12x15 and 12x16; correct the list"):
        _open(root)


@pytest.mark.parametrize("area", [None, 0, "absent"])
def test_smaller_objects_lie_above_larger_ones_without_areas_in_the_file(root, check, area):
    content = _content(root)
    for each in content["annotations"]:
        each["area"] = area
        if area == "absent":
            del each["area"]
    _write(root, content)
    check()


def test_two_images_that_are_found_as_one_file_are_refused(root):
    content = _content(root)
    for each, folder in zip(content["images"], ("north", "south"), strict=False):
        each["file_name"] = f"{folder}/p00.png"
    _write(root, content)
    with pytest.raises(ValueError, match=r"'north/p00\.png' and 'south/p00\.png' would both be .*p00\.png; put images"):
        _open(root)


def test_an_image_lying_on_its_side_is_refused_and_one_upside_down_named(root, caplog):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(root / "images/p00.png").save(root / "images/p00.png", exif=exif)
    _open(root)
    assert "1 image has an EXIF orientation" in caplog.text
    exif[0x0112] = 6
    Image.open(root / "images/p00.png").save(root / "images/p00.png", exif=exif)
    with pytest.raises(
        ValueError, match=r"the annotation of .*p00\.png is 12x16, but its image .* --exif ignore reads"
    ):
        _open(root)
