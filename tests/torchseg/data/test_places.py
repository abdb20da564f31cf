from __future__ import annotations

import pytest

from torchseg.data.datasets.folder import folder
from torchseg.data.places import find_places


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (
            ["photos", "masks"],
            r"there is no folder .*images; expected .*: is it photos\? Then rename that folder to images",
        ),
        (["images", "labels"], r"no folder .*masks; expected one with a mask for .*: is it labels\? Then rename that"),
        (["img_dir", "ann_dir"], r"no folder .*images; .*: is it img_dir\? Then rename that folder to images"),
        (["images", "labelsTr"], r"no folder .*masks; .*: is it labelsTr\? Then rename that folder to masks"),
        (["JPEGImages", "SegmentationClass"], r"no folder .*; this looks like another layout: give --data voc$"),
        (["images", "annotations/trimaps"], r"no folder .*; this looks like another layout: give --data oxford-pet$"),
        (["train", "val"], r"no folder .*images; .*: move the files of train/ to images/train, masks/train, \.\.\."),
        (["images"], r"there is no folder .*masks; expected one with a mask for every image in images/$"),
        (["Images", "IMAGES", "masks"], r"IMAGES and .*Images may both hold images; rename one of them"),
    ],
)
def test_a_missing_folder_is_said_with_what_may_be_meant(tmp_path, folders, message):
    for name in folders:
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(ValueError, match=message):
        find_places(tmp_path)


@pytest.mark.parametrize("name", ["ade20k", "cityscapes", "coco", "cvat", "roboflow", "supervisely", "voc"])
def test_a_data_set_in_another_layout_is_told_its_flag(annotated, name, tmp_path):
    annotated.write[name](tmp_path)
    root = tmp_path / "VOC2012" if name == "voc" else tmp_path
    with pytest.raises(ValueError, match=f"this looks like another layout: give --data {name}$"):
        find_places(root)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder .*nowhere; give the one that holds images/ and masks/"):
        find_places(tmp_path / "nowhere")


def test_two_lists_of_classes_are_refused(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for name in ("classes.txt", "Classes.txt"):
        (tmp_path / name).write_text("a\nb\n")
    with pytest.raises(ValueError, match=r"Classes\.txt and .*classes\.txt both list the classes; remove one"):
        find_places(tmp_path)


def test_a_list_of_another_name_is_told_of(write_pair, tmp_path):
    for number in range(30):
        write_pair(f"p{number}")
    (tmp_path / "labelmap.txt").write_text("sky:0,0,0::\n")
    hint = "labelmap.txt is not read: if it lists the classes, call it classes.txt"
    assert hint in folder(tmp_path).notes
    write_pair("p31", values=(0, 7))
    with pytest.raises(ValueError, match=rf"the values between them never occur; .* \({hint}\)"):
        folder(tmp_path)
