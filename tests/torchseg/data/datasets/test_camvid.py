from __future__ import annotations

import numpy as np
import pytest

from torchseg.data.datasets.camvid import CLASSES, camvid

PARTS = {"train": 3, "val": 1, "test": 2}


@pytest.fixture
def root(save, tmp_path):
    """A made-up copy: one colour a picture, and labels with a void row on top."""
    for part, count in PARTS.items():
        lines = []
        for number in range(count):
            picture, label = f"camvid/{part}/{number}.png", f"camvid/{part}annot/{number}.png"
            save(picture, (9, 9, 9))
            mask = np.full((6, 8), number, np.uint8)
            mask[0] = 11
            save(label, mask)
            lines.append(f"{part}/{number}.png {part}annot/{number}.png\n")
        (tmp_path / "camvid" / f"{part}.txt").write_text("".join(lines))
    return tmp_path


def test_lists_name_the_parts_and_void_is_ignored(root):
    data = camvid(root)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [3, 1, 2]
    assert data.classes == CLASSES
    sample = data.test[1]
    assert (sample.mask[0] == 255).all()
    assert (sample.mask[1:] == 1).all()
    assert len(data.files) == 3 + 2 * 6


def test_images_of_training_and_validation_without_their_masks_are_the_transfer_set(root):
    data = camvid(root)
    assert len(data.transfer) == 3 + 1
    assert all((data.transfer[index].mask == 255).all() for index in range(4))
    for index, sample in enumerate([*(data.train[number] for number in range(3)), data.validation[0]]):
        assert np.array_equal(data.transfer[index].picture, sample.picture)
        assert data.transfer[index].name == sample.name


def test_the_folder_and_the_folder_that_holds_it_are_the_same(root):
    assert camvid(root / "camvid").test[0].name == camvid(root).test[0].name


def test_absolute_paths_of_old_lists_count_by_their_end(root):
    (root / "camvid/val.txt").write_text("/SegNet/CamVid/val/0.png /SegNet/CamVid/valannot/0.png\n")
    assert len(camvid(root).validation) == 1


def test_a_missing_label_is_named(root):
    (root / "camvid/trainannot/1.png").unlink()
    with pytest.raises(ValueError, match=r"image .*train/1.png has no mask: expected .*trainannot/1.png"):
        camvid(root)


def test_a_foreign_value_is_named(root, save):
    save("camvid/testannot/0.png", np.full((6, 8), 12, np.uint8))
    with pytest.raises(ValueError, match=r"mask .*testannot/0.png: it holds the value 12, but the classes are 0 to 10"):
        camvid(root).test[0]


def test_a_line_without_a_label_is_named(root):
    (root / "camvid/val.txt").write_text("\nval/0.png\n")
    with pytest.raises(ValueError, match=r"val.txt, line 2: 'val/0.png' names 1 files; write 'IMAGE LABEL'"):
        camvid(root)


def test_a_missing_list_says_what_to_give(root):
    (root / "camvid/val.txt").unlink()
    with pytest.raises(ValueError, match=r"has no val.txt; give the CamVid folder"):
        camvid(root)


def test_the_real_set_is_read(real_data):
    data = camvid(real_data)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [367, 101, 233]
    assert len(data.transfer) == 468
    assert set(np.unique(data.test[0].mask)) <= {*range(11), 255}
