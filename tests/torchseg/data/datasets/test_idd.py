from __future__ import annotations

import numpy as np
import pytest

from torchseg.data.datasets.idd import CITYSCAPES, COLOURS, LEVEL_3, LITE, idd

LAYOUTS = {
    "level 3": ("_leftImg8bit.png", "_gtFine_labellevel3Ids.png", LEVEL_3),
    "level 3, jpg": ("_leftImg8bit.jpg", "_gtFine_labellevel3Ids.png", LEVEL_3),
    "cityscapes": ("_leftImg8bit.png", "_gtFine_labelcsTrainIds.png", CITYSCAPES),
    "lite": ("_image.jpg", "_label.png", LITE),
}


@pytest.fixture
def official(save, tmp_path):
    """Ten training drives and one to test, of two frames each; a test split without masks."""

    def write(picture: str, mask: str):
        drives = {"train": range(10), "val": [10], "test": [11]}
        for split, numbers in drives.items():
            for drive, frame in ((drive, frame) for drive in numbers for frame in ("001", "002")):
                save(f"idd/leftImg8bit/{split}/{drive}/{frame}{picture}", (9, 9, 9))
                if split != "test":
                    save(f"idd/gtFine/{split}/{drive}/{frame}{mask}", np.full((6, 8), 255 if frame == "002" else 6))
        return tmp_path

    return write


def _drives(part):
    return {sample.name.split("_")[0] for sample in part}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_official_layout_is_read_and_255_is_ignored(official, layout):
    picture, mask, classes = LAYOUTS[layout]
    root = official(picture, mask)
    data = idd(root)
    assert data.classes == classes
    first, second = data.test[0].mask, data.test[1].mask
    assert (first == 6).all()
    assert (second == 255).all()
    assert len(idd(root / "idd").train) == len(data.train)


def test_validation_takes_whole_drives_out_of_training(official):
    data = idd(official(*LAYOUTS["lite"][:2]))
    train, validation, test = (_drives(part) for part in (data.train, data.validation, data.test))
    assert train | validation == {str(drive) for drive in range(10)}
    assert not train & validation
    assert validation
    assert test == {"10"}
    assert len({sample.name for sample in data.train}) == len(data.train) == 2 * len(train)


def test_a_picture_without_mask_is_named(official):
    root = official(*LAYOUTS["level 3"][:2])
    (root / "idd/gtFine/train/4/002_gtFine_labellevel3Ids.png").unlink()
    with pytest.raises(ValueError, match=r"train/4/002_leftImg8bit.png has no mask: expected .*labellevel3Ids.png"):
        idd(root)


def test_a_foreign_value_is_named(official, save):
    root = official(*LAYOUTS["lite"][:2])
    save("idd/gtFine/val/10/001_label.png", np.full((6, 8), 7))
    with pytest.raises(ValueError, match=r"001_label.png: it holds the value 7, but the classes are 0 to 6"):
        idd(root).test[0]


def test_labels_that_are_missing_altogether_are_named_by_their_endings(official, tmp_path):
    root = official("_leftImg8bit.png", "_gtFine_polygons.json.png")
    with pytest.raises(ValueError, match=r"holds no label images \(_gtFine_labellevel3Ids.png, "):
        idd(root)


def test_a_single_drive_cannot_be_split(save, tmp_path):
    save("leftImg8bit/train/0/001_image.jpg", (9, 9, 9))
    save("gtFine/train/0/001_label.png", np.zeros((6, 8)))
    with pytest.raises(ValueError, match="the training split has one drive, 0; validation needs another one"):
        idd(tmp_path)


def test_coloured_masks_have_27_classes_in_the_order_of_the_list(coloured_idd):
    data = idd(coloured_idd("train", "val", "test"))
    assert data.classes == tuple(COLOURS)
    assert data.test[0].mask[0].tolist() == list(range(27))
    assert [sample.name[:3] for sample in (data.train[0], data.validation[0], data.test[0])] == ["tra", "val", "tes"]


def test_without_masks_to_test_with_the_official_validation_is_the_test(coloured_idd):
    data = idd(coloured_idd("train", "val"))
    assert {sample.name[:3] for sample in data.test} == {"val"}
    assert len(data.train) + len(data.validation) == 8
    assert len(data.validation) > 0


def test_a_colour_that_no_class_has_is_named(coloured_idd, save):
    root = coloured_idd("train", "val")
    save("val/rgb_labels/val3_gtFine_polygons.png", np.full((2, 27, 3), 7))
    with pytest.raises(ValueError, match=r"val3_gtFine_polygons.png: it holds the colour 070707, which the list of"):
        idd(root).test[3]


def test_another_folder_says_what_to_give(tmp_path):
    with pytest.raises(
        ValueError, match="is not the Indian Driving Dataset; give the folder with leftImg8bit/ and gtFine/"
    ):
        idd(tmp_path)
