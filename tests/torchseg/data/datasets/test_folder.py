from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from PIL import Image

from torchseg.data import inspect_data
from torchseg.data.datasets.folder import folder
from torchseg.data.images.reader import ImageReader


def _parts(data):
    return data.train, data.validation, data.test


def test_parts_cover_all_pictures_once(fill, tmp_path):
    fill()
    data = folder(tmp_path)
    names = [sample.name for part in (data.train, data.validation, data.test) for sample in part]
    assert sorted(names) == sorted(f"picture{number}" for number in range(40))


def test_adding_a_picture_moves_at_most_one_old_one_per_split(fill, write_pair, tmp_path):
    fill()
    before = [{sample.name for sample in part} for part in _parts(folder(tmp_path))]
    write_pair("picture40")
    after = [{sample.name for sample in part} for part in _parts(folder(tmp_path))]
    assert all(len(old - new) <= 1 for old, new in zip(before[1:], after[1:], strict=True))


@pytest.mark.parametrize("count", [10, 25, 40, 60])
def test_small_sets_have_at_least_three_pictures_in_each_part(fill, tmp_path, count):
    fill(count=count)
    held = max(3, round(0.15 * count))
    assert [len(part) for part in _parts(folder(tmp_path))] == [count - 2 * held, held, held]


def test_a_class_of_three_pictures_is_in_every_part(write_pair, tmp_path):
    for number in range(40):
        write_pair(f"picture{number}", values=(0, 1, 2) if number in (3, 17, 29) else (0, 1))
    for part in _parts(folder(tmp_path)):
        assert any((sample.mask == 2).any() for sample in part)


def test_frames_of_a_sequence_stay_in_one_part(write_pair, tmp_path):
    for sequence in range(6):
        for frame in range(5):
            write_pair(f"seq{sequence}_{frame}")
    data = folder(tmp_path, group="^seq[0-9]")
    found = [{sample.name.partition("_")[0] for sample in part} for part in _parts(data)]
    assert sum(map(len, found)) == 6


def test_a_damaged_mask_is_left_to_the_check_of_the_images(fill, tmp_path):
    fill()
    (tmp_path / "masks" / "picture7.png").write_bytes((tmp_path / "masks" / "picture7.png").read_bytes()[:60])
    (tmp_path / "classes.txt").write_text("a\nb\n")
    assert len(folder(tmp_path).train) == 28


def test_classes_are_counted_where_no_list_names_them(fill, tmp_path):
    fill(values=(0, 1, 2, 255))
    assert folder(tmp_path).classes == ("class_0", "class_1", "class_2")


def test_coloured_masks_follow_the_list(fill, tmp_path):
    fill()
    (tmp_path / "classes.txt").write_text("the road 804080\nsky 4682B4\n")
    colours = np.array([[0x80, 0x40, 0x80], [0x46, 0x82, 0xB4], [0, 0, 0]], np.uint8)
    chosen = np.random.default_rng(0).integers(0, 3, (12, 16))
    for mask in (tmp_path / "masks").iterdir():
        Image.fromarray(colours[chosen]).save(mask)
    data = folder(tmp_path)
    assert data.classes == ("the road", "sky")
    assert np.array_equal(data.train[0].mask, np.array([0, 1, 255], np.uint8)[chosen])


def test_a_colour_that_no_line_names_is_refused(fill, tmp_path):
    fill()
    (tmp_path / "classes.txt").write_text("road 804080\nsky 4682B4\n")
    for mask in (tmp_path / "masks").iterdir():
        Image.new("RGB", (16, 12), (1, 2, 3)).save(mask)
    with pytest.raises(ValueError, match=r"mask .*\.png: it holds the colour 010203, which classes.txt does not name"):
        folder(tmp_path).train[0]


def test_a_picture_without_mask_is_named(fill, tmp_path):
    fill()
    (tmp_path / "masks" / "picture7.png").unlink()
    with pytest.raises(ValueError, match=r"image .*picture7.jpg has no mask: expected .*picture7.png"):
        folder(tmp_path)


def test_a_mask_of_another_size_is_named_with_both_sizes(fill, write_pair, tmp_path):
    fill()
    write_pair("picture7", mask_size=(10, 16))
    with pytest.raises(ValueError, match=r"picture7.png is 10x16 but its image .*picture7.jpg is 12x16"):
        folder(tmp_path)


def test_a_value_outside_the_classes_is_named(fill, tmp_path):
    fill(values=(0, 1, 7))
    (tmp_path / "classes.txt").write_text("road\nsky\n")
    with pytest.raises(ValueError, match=r"mask .*: it holds the value 7, but the classes are 0 to 1 \(road, sky\)"):
        folder(tmp_path).train[0]


def test_a_truncated_jpeg_is_named(fill, tmp_path):
    fill()
    data = folder(tmp_path)
    victim, _ = data.train.pairs[0]
    victim.write_bytes(victim.read_bytes()[:-60])
    with pytest.raises(ValueError, match=rf"cannot read the image .*{victim.name}: .*truncated"):
        data.train[0]


def test_too_few_pictures_are_refused(write_pair, tmp_path):
    write_pair("one")
    with pytest.raises(ValueError, match=r"has 1 image, too few for three splits; add more"):
        folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder .*images; expected one with images"):
        folder(tmp_path)


def test_white_is_ignored_where_another_value_occurs(fill, tmp_path):
    fill(values=(0, 1, 255))
    assert set(np.unique(folder(tmp_path).train[0].mask)) == {0, 1, 255}
    assert folder(tmp_path).notes == ("255 is ignored; a line '255: NAME' in classes.txt would make it a class",)


def test_values_that_never_occur_between_others_are_a_fault(fill, tmp_path):
    fill(values=(0, 7, 15))
    with pytest.raises(
        ValueError, match=r"hold the values 0, 7 and 15, and the values between them never occur; add a"
    ):
        folder(tmp_path)
    (tmp_path / "classes.txt").write_text("0: sky\n7: car\n15: person\n")
    assert set(np.unique(folder(tmp_path).train[0].mask)) == {0, 1, 2}


def test_a_further_value_can_be_ignored(fill, tmp_path):
    fill(values=(0, 1, 2))
    data = folder(tmp_path, ignore_value=0)
    assert data.classes == ("class_1", "class_2")
    assert set(np.unique(data.train[0].mask)) == {0, 1, 255}


def test_hidden_files_and_files_of_the_system_are_skipped(fill, tmp_path):
    fill()
    (tmp_path / "images/picture1.jpg~").write_bytes(b"")
    for name in ("images/._picture1.jpg", "masks/._picture1.png", "images/.DS_Store", "images/Thumbs.db"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert folder(tmp_path).notes == ()


def test_what_was_passed_over_is_counted(fill, tmp_path):
    fill()
    for name in ("images/a.heic", "images/b.HEIC", "masks/old.png"):
        (tmp_path / name).write_bytes(b"")
    assert folder(tmp_path).notes == (
        f"{tmp_path / 'images'} has 2 other files (.heic), passed over",
        f"1 of 41 masks in {tmp_path / 'masks'} belongs to no image",
    )


def test_names_are_compared_in_one_unicode_form(fill, tmp_path):
    fill()
    for path in list(tmp_path.glob("*/picture*")):
        form = "NFD" if path.parent.name == "images" else "NFC"
        path.rename(path.with_stem(unicodedata.normalize(form, f"Fläche {path.stem}")))
    assert len(folder(tmp_path).train)


def test_two_images_of_one_name_are_refused(fill, tmp_path):
    fill()
    Image.new("RGB", (16, 12)).save(tmp_path / "images" / "picture3.png")
    with pytest.raises(ValueError, match=r"picture3\.jpg and .*picture3\.png have one name and would share one mask"):
        folder(tmp_path)


def _with_images(write_pair, tmp_path, image_of, count=30):
    """Writes pairs whose images are arrays: `image_of` takes their number."""
    for number in range(count):
        write_pair(f"p{number:02d}")
        (tmp_path / f"images/p{number:02d}.jpg").unlink()
        np.save(tmp_path / f"images/p{number:02d}.npy", image_of(number))


def test_frames_that_look_alike_in_the_range_of_all_images_stay_in_one_part(write_pair, tmp_path):
    """Images of 12 bits in 16 are nearly black, and so all alike, in the range of 16."""

    def frame(number):
        coarse = np.random.default_rng(number // 3).integers(0, 4096, (3, 4, 5))
        return np.kron(coarse, np.ones((4, 4, 1))).astype(np.uint16) + np.uint16(number % 3)

    _with_images(write_pair, tmp_path, lambda number: np.minimum(frame(number), 4095))
    data = folder(tmp_path)
    assert (data.images.channels, data.images.value_range) == (5, (0, 4095))
    assert "30 images look like others and form 10 groups" in " ".join(data.notes)
    found = [{int(sample.name[1:]) // 3 for sample in part} for part in _parts(data)]
    assert sum(map(len, found)) == 10


def test_a_damaged_image_is_left_to_the_check_of_the_images(fill, tmp_path):
    fill()
    stored = (tmp_path / "images/picture7.jpg").read_bytes()
    (tmp_path / "images/picture7.jpg").write_bytes(stored[:-40])
    faults = [fault for fault in inspect_data(folder(tmp_path)).faults if "cannot read" in fault]
    assert len(faults) == 1
    assert "picture7.jpg" in faults[0]


@pytest.mark.parametrize("exif", ["apply", "ignore"])
def test_masks_belong_to_images_upright_or_as_stored(fill, tmp_path, exif):
    stored = (12, 16)
    fill(size=stored, mask_size=stored[::-1] if exif == "apply" else stored)
    tag = Image.Exif()
    tag[0x0112] = 6
    for path in (tmp_path / "images").iterdir():
        Image.open(path).save(path, exif=tag)
    data = folder(tmp_path, images=ImageReader(channels=0, exif=exif))
    assert data.test[0].picture.shape[:2] == data.test[0].mask.shape
    other = ImageReader(channels=0, exif="ignore" if exif == "apply" else "apply")
    with pytest.raises(ValueError, match=r"with its EXIF orientation \(6\)"):
        folder(tmp_path, images=other)
