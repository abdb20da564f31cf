from __future__ import annotations

from pathlib import Path

import pytest

from torchseg.data.pairing import pair_files


@pytest.fixture
def pair(tmp_path):
    """Writes empty files of these names and pairs them; gives the names of each mask by that of its image."""

    def run(images, masks, **options):
        for place, names in (("images", images), ("masks", masks)):
            for name in names:
                (tmp_path / place / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / place / name).touch()
        paired = pair_files(tmp_path / "images", tmp_path / "masks", **options)
        return {picture.name: mask.name for picture, mask in paired.pairs}

    return run


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}.jpg", "{}.png"),
        ("{}.JPG", "{}.PNG"),
        ("{}.jpg", "{}_mask.gif"),
        ("{}.jpg", "{}.tif"),
        ("{}.jpg", "{}-mask.png"),
        ("{}.png", "{}_L.png"),
        ("{}.png", "{}_lesion.png"),
        ("{}_sat.jpg", "{}_mask.png"),
        ("{}_image.jpg", "{}_label.png"),
        ("image_{}.jpg", "mask_{}.png"),
        ("img{}.jpg", "label{}.png"),
        ("{}_leftImg8bit.png", "{}_gtFine_labelIds.png"),
        ("IMG_{}.JPG", "img_{}.png"),
        ("{}_training.tif", "{}_manual1.gif"),
        ("case_{}_0000.png", "case_{}.png"),
        ("frames.v2.{}.png", "frames.v2.{}.png"),
        ("frame_00{}.png", "label_00{}.png"),
        ("scene_image_{}.png", "scene_mask_{}.png"),
        ("{}_color.png", "{}_labelIds.png"),
        ("{}.jpg", "{}.jpg___fuse.png"),
    ],
)
def test_the_usual_names_of_masks_are_found(pair, image, mask):
    numbers = ("00", "01", "10")
    expected = {image.format(each): mask.format(each) for each in numbers}
    assert pair(expected, expected.values()) == expected


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("input_{:03}.png", "target_{:03}.png"),
        ("src{}.png", "dst{}.png"),
        ("{}_orig.jpg", "{}_annot.png"),
        ("{:03}Image.jpg", "{:03}Mask.png"),
        ("{}.jpg", "{:04}.png"),
        ("day/{}.jpg", "{}.png"),
        ("Day/p{}.jpg", "day/p{}_mask.png"),
    ],
)
def test_masks_are_found_by_what_differs_in_the_names(pair, image, mask):
    expected = {image.format(each): mask.format(each) for each in (1, 2, 10, 21)}
    found = pair(expected, expected.values())
    assert found == {Path(key).name: Path(value).name for key, value in expected.items()}


def test_names_that_differ_in_other_parts_are_no_pairs(pair):
    with pytest.raises(ValueError, match=r"image .*input_1\.png has no mask, as have 1 more images"):
        pair(["input_1.png", "input_2.png"], ["target_2.png", "target_3.png"])
    with pytest.raises(ValueError, match=r"image .*in_01\.png has no mask"):
        pair(["in_01.png", "in_1.png"], ["out_1.png", "out_2.png"])


def test_a_label_image_comes_before_other_files_of_its_image(pair):
    names = [f"a{each}_leftImg8bit.png" for each in range(3)]
    kinds = ("color", "instanceIds", "labelIds")
    found = pair(names, [f"a{each}_gtFine_{kind}.png" for each in range(3) for kind in kinds])
    assert set(found.values()) == {f"a{each}_gtFine_labelIds.png" for each in range(3)}


def test_a_suffix_can_be_given(pair):
    masks = ["a_x.png", "b_x.png", "a_mask.png", "b_mask.png"]
    assert pair(["a.jpg", "b.jpg"], masks, mask_suffix="_x") == {"a.jpg": "a_x.png", "b.jpg": "b_x.png"}


def test_the_png_of_two_kinds_of_mask_is_taken(pair):
    assert pair(["a.jpg"], ["a.jpg", "a.png"]) == {"a.jpg": "a.png"}


def test_missing_masks_are_one_message(pair):
    with pytest.raises(
        ValueError, match=r"image .*b\.jpg has no mask, as have 1 more images: expected .*b\.png.*suffix"
    ):
        pair(["a.jpg", "b.jpg", "c.jpg"], ["a.png"])


def test_a_folder_of_other_files_is_refused_with_their_number(pair):
    with pytest.raises(ValueError, match=r"holds no images \(it has 2 other files \(\.heic\)\); expected"):
        pair(["a.heic", "b.heic"], ["a.png"])


def test_subfolders_are_read_where_the_folder_has_no_image_itself(pair):
    assert pair(["x/a.jpg", "y/a.jpg"], ["x/a.png", "y/a.png"]) == {"a.jpg": "a.png"}
    with pytest.raises(ValueError, match="has no mask"):
        pair(["x/b.jpg"], ["y/b.png"])


@pytest.mark.parametrize("system", ["__MACOSX", "@eaDir", ".ipynb_checkpoints", "$RECYCLE.BIN"])
def test_subfolders_of_the_system_are_skipped(pair, system):
    own, theirs = [f"a/{number}.png" for number in range(3)], f"a/{system}/0.png"
    assert pair([*own, theirs], [*own, theirs]) == {Path(name).name: Path(name).name for name in own}


def test_several_masks_of_one_image_are_refused(pair):
    with pytest.raises(ValueError, match=r"image .*a\.jpg has 2 masks: .*say which with --mask_suffix"):
        pair(["a.jpg", "b.jpg"], ["mask_a.png", "gt_a.png", "mask_b.png", "gt_b.png"])


@pytest.mark.parametrize(
    "masks",
    [
        ["a_car.png", "a_bus.png", "b_car.png", "b_bus.png"],
        ["a_0.png", "a_1.png", "b_0.png"],
        ["a_mask.png", "a_mask_1.png", "b_mask.png"],
        ["a_mask_0.png", "a_mask_1.png", "b_mask_0.png"],
    ],
)
def test_a_mask_per_class_or_object_is_refused(pair, masks):
    with pytest.raises(
        ValueError, match=r"image .*a\.jpg has several masks: a_\w+\.png and a_\w+\.png; merge them into"
    ):
        pair(["a.jpg", "b.jpg"], masks)


@pytest.mark.parametrize("masks", [["a_mask.png", "a_2_mask.png", "b_mask.png"], ["a.png", "a_2.png"]])
def test_masks_of_images_that_are_gone_are_no_further_masks(pair, masks):
    assert pair(["a.jpg"], masks) == {"a.jpg": masks[0]}


def test_links_to_folders_are_followed_once(pair, tmp_path):
    for place, name in (("images", "a.jpg"), ("masks", "a.png")):
        (tmp_path / "stored" / place).mkdir(parents=True)
        (tmp_path / "stored" / place / name).touch()
        (tmp_path / place).mkdir()
        (tmp_path / place / "day1").symlink_to(tmp_path / "stored" / place)
        (tmp_path / "stored" / place / "loop").symlink_to(tmp_path / place)
    assert pair([], []) == {"a.jpg": "a.png"}
