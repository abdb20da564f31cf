"""The splits of a user's own data set: lists, subfolders, and choices in spite of them."""

from __future__ import annotations

import pytest

from torchseg.data.datasets.folder import folder


def _parts(data):
    return data.train, data.validation, data.test


def _listed(root, count):
    for part, numbers in (
        ("train", range(count - 6)),
        ("val", range(count - 6, count - 3)),
        ("test", range(count)[-3:]),
    ):
        (root / f"{part}.txt").write_text("".join(f"picture{number}\n" for number in numbers))


def test_lists_take_the_place_of_the_rule(fill, tmp_path):
    fill(count=3)
    for number, part in enumerate(("train", "validation", "test")):
        (tmp_path / f"{part}.txt").write_text(f"picture{number}\n")
    data = folder(tmp_path)
    assert [part[0].name for part in (data.train, data.validation, data.test)] == ["picture0", "picture1", "picture2"]
    assert tmp_path / "test.txt" in data.files
    (tmp_path / "test.txt").write_text("pictur2\n")
    with pytest.raises(ValueError, match=r"test.txt names 'pictur2', but images/ has no such image \(did you mean"):
        folder(tmp_path)
    (tmp_path / "test.txt").unlink()
    with pytest.raises(ValueError, match="list the images of all three splits, or of none"):
        folder(tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        *("picture{}.jpg", "images/picture{}.jpg", "picture{}\t", "./picture{}", "'picture{}'", "picture{}.jpg,"),
        *("images/picture{}.jpg masks/picture{}.png", '"images/picture{}.jpg"\t"masks/picture{}.png"'),
        *("picture{}.jpg;picture{}.png", "7,picture{}.jpg", "D:\\x y\\picture{}.JPG", "picture{} -1"),
    ],
)
def test_lists_are_read_as_tools_write_them(fill, tmp_path, lines):
    fill(count=3)
    for number, part in enumerate(("train", "val", "test")):
        line = lines.format(number, number)
        (tmp_path / f"{part}.txt").write_bytes(f"\ufeff{line}\r\n\r\n".encode())
    data = folder(tmp_path)
    assert [part[0].name for part in (data.train, data.validation, data.test)] == ["picture0", "picture1", "picture2"]


@pytest.mark.parametrize("line", ["images/picture{}.jpg masks/picture{}.png", "picture{} picture{}"])
def test_a_line_of_two_images_or_with_the_mask_of_another_image_is_refused(fill, tmp_path, line):
    fill(count=3)
    for number, part in enumerate(("train", "val", "test")):
        (tmp_path / f"{part}.txt").write_text(line.format(number, (number + 1) % 3))
    with pytest.raises(
        ValueError, match=r"names the image picture0.jpg and something of another image; write one image"
    ):
        folder(tmp_path)


def test_lists_and_folders_may_be_in_any_case(fill, tmp_path):
    fill(count=3)
    for number, part in enumerate(("Train", "VAL", "Test")):
        (tmp_path / f"{part}.TXT").write_text(f"picture{number}\n")
    (tmp_path / "Classes.txt").write_text("sky\ncar\n")
    for name in ("images", "masks"):
        (tmp_path / name).rename(tmp_path / name.title())
    data = folder(tmp_path)
    assert [part[0].name for part in _parts(data)] == ["picture0", "picture1", "picture2"]
    assert data.classes == ("sky", "car")


@pytest.mark.parametrize("name", ["train.csv", "ImageSets/train.txt", "splits/train.lst"])
def test_lists_that_are_not_read_are_named(fill, tmp_path, name):
    fill()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("picture1\n")
    assert f"{name} is not read; lists of splits are train.txt, validation.txt and test.txt beside images/" in (
        folder(tmp_path).notes
    )


def test_an_image_in_two_lists_is_refused(fill, tmp_path):
    fill(count=3)
    for part in ("train", "val", "test"):
        (tmp_path / f"{part}.txt").write_text("picture0\npicture1\n")
    with pytest.raises(
        ValueError, match=r"train.txt and val.txt in .* both name 2 images, first 'picture0'; an image must"
    ):
        folder(tmp_path)


def test_images_in_no_list_are_counted(fill, tmp_path):
    fill(count=5)
    for number, part in enumerate(("train", "valid", "test")):
        (tmp_path / f"{part}.txt").write_text(f"picture{number}\n")
    assert folder(tmp_path).notes == ("2 of 5 images are in no list and are left out",)


def test_subfolders_called_after_splits_are_the_splits(write_pair, tmp_path):
    for part in ("train", "valid", "test"):
        write_pair("a", root=tmp_path / part)
        for kind in ("images", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / part / kind).rename(tmp_path / kind / part)
    data = folder(tmp_path)
    assert [part[0].name for part in (data.train, data.validation, data.test)] == ["train_a", "valid_a", "test_a"]
    (tmp_path / "images/test").rename(tmp_path / "images/more")
    (tmp_path / "masks/test").rename(tmp_path / "masks/more")
    with pytest.raises(ValueError, match="has folders for splits, but no folder for test; give train/, val/ and test/"):
        folder(tmp_path)


def test_stratified_splits_are_chosen_in_spite_of_lists_and_show_every_class(write_pair, tmp_path):
    for number in range(30):
        write_pair(f"picture{number}", values=(0, 1, 2) if number in (3, 17, 19) else (0, 1))
    _listed(tmp_path, 30)
    listed, chosen = (folder(tmp_path, split=split) for split in ("auto", "stratified"))
    assert [len(part) for part in _parts(listed)] == [24, 3, 3]
    assert [any((sample.mask == 2).any() for sample in part) for part in _parts(listed)] == [True, False, False]
    assert [any((sample.mask == 2).any() for sample in part) for part in _parts(chosen)] == [True] * 3
    assert (listed.splits_chosen_by, chosen.splits_chosen_by) == ("", "stratified groups 1 auto stratified")


def test_stratified_splits_look_at_all_masks_however_many_there_are(write_pair, tmp_path, monkeypatch):
    monkeypatch.setattr("torchseg.data.datasets.folder.MOST_STRATIFIED", 20)
    for number in range(30):
        write_pair(f"picture{number}", values=(0, 1, 2) if number in (3, 17, 19) else (0, 1))
    by_chance, chosen = (folder(tmp_path, split=split) for split in ("auto", "stratified"))
    assert not all(any((sample.mask == 2).any() for sample in part) for part in _parts(by_chance))
    assert all(any((sample.mask == 2).any() for sample in part) for part in _parts(chosen))
