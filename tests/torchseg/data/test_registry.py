from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from torchseg.data import BoundedSamples, HeldSamples, LabelRules, PatchPlan, ResizedSamples, open_data
from torchseg.data.images.reader import ImageReader
from torchseg.data.registry import SOURCES


def test_an_unknown_name_brings_the_near_ones(tmp_path):
    with pytest.raises(
        ValueError, match=r"no data set 'oxfordpet' \(did you mean 'oxford-pet'.*\?\); choose from ade20k,"
    ):
        open_data("oxfordpet", tmp_path, size=(8, 8))


def test_data_on_disk_needs_a_root():
    with pytest.raises(ValueError, match="say where with --root FOLDER"):
        open_data("folder", None, size=(8, 8))


def test_a_missing_root_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder .*nowhere; give the folder of data set 'folder'"):
        open_data("folder", tmp_path / "nowhere", size=(8, 8))


def test_data_without_a_download_says_so(tmp_path):
    with pytest.raises(ValueError, match="data set 'folder' has no download"):
        open_data("folder", tmp_path, size=(8, 8), download=True)


def test_scenes_need_no_root():
    data = open_data("scenes", None, size=(16, 16))
    assert 0 < 10 * len(data.train) < len(data.transfer)  # masks are scarce, pictures are not


def test_generated_pictures_are_not_cut():
    with pytest.raises(ValueError, match="drop --patch_size"):
        open_data("scenes", None, size=(16, 16), patches=PatchPlan(size=8))


def test_all_three_parts_are_cut(write_pair, tmp_path):
    for number in range(40):
        write_pair(f"picture{number}")
    whole = open_data("folder", tmp_path, size=(8, 8))
    cut = open_data("folder", tmp_path, size=(8, 8), patches=PatchPlan(size=8))
    for part in ("train", "validation", "test"):
        assert len(getattr(cut, part)) == 4 * len(getattr(whole, part))  # 12 x 16 pixels


@pytest.fixture
def roots(write_pair, save, pets, aerial_tiles, coloured_idd, annotated, tmp_path):
    """A small copy of every data set on disk, by its name."""
    for number in range(40):
        write_pair(f"picture{number}", root=tmp_path / "folder")
    lines = ["a.png b.png\n"] * 3
    for name, line in zip(("train", "val", "test"), lines, strict=True):
        (tmp_path / "camvid").mkdir(exist_ok=True)
        (tmp_path / "camvid" / f"{name}.txt").write_text(line)
    save("camvid/a.png", (9, 9, 9))
    save("camvid/b.png", 3)
    names = {
        "aerial": aerial_tiles,
        "camvid": tmp_path,
        "folder": tmp_path / "folder",
        "idd": coloured_idd("train", "val"),
    }
    for name, write in annotated.write.items():
        names[name] = tmp_path / name
        names[name].mkdir()
        write(names[name])
    return names | {"oxford-pet": pets.parent, "oxford-pet-binary": pets.parent}


def test_images_without_masks_are_cut_like_those_with(roots):
    """Else a student would see them at another scale."""
    whole, cut = (open_data("camvid", roots["camvid"], size=(8, 8), patches=each) for each in (None, PatchPlan(size=4)))
    assert (len(whole.transfer), len(cut.transfer)) == (2, 2 * 4)  # 6 x 8 pixels
    assert cut.transfer[3].picture.shape == (4, 4, 3)
    assert (cut.transfer[3].mask == 255).all()


def test_only_images_without_up_and_down_are_turned(roots):
    turned = {name for name in SOURCES if not open_data(name, roots[name], size=(8, 8)).upright}
    assert turned == {"aerial"}
    assert not open_data("aerial", roots["aerial"], size=(8, 8), patches=PatchPlan(size=4)).upright
    assert not open_data("scenes", None, size=(16, 16)).upright


@pytest.mark.parametrize("name", SOURCES)
def test_a_process_that_begins_afresh_can_be_handed_the_samples(name, roots):
    for patches in (None, PatchPlan(size=8)):
        data = open_data(name, roots[name], size=(8, 8), patches=patches)
        samples = data.train
        for each in (
            *([data.transfer] if len(data.transfer) else []),
            samples,
            HeldSamples(BoundedSamples(samples, height=8, width=8)),
            ResizedSamples(samples, height=8, width=8),
        ):
            received = pickle.loads(pickle.dumps(each))
            assert np.array_equal(received[0].mask, each[0].mask)


@pytest.mark.parametrize("name", ["coco", "cvat", "labelme"])
def test_twelve_bits_in_sixteen_keep_their_contrast_in_exports_of_annotation_tools(name, annotated, tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    annotated.write[name](root)
    for path in root.rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(path).convert("L"), np.uint16) * 16).save(path)
    data = open_data(name, root, size=(8, 8), rules=LabelRules(ignore_classes=("person",)))
    assert (data.images.channels, data.images.value_range) == (3, (0, 4095))
    assert data.test[0].picture.shape == (12, 16, 3)
    assert data.test[0].picture.max() > 200
    grey = open_data(name, root, size=(8, 8), images=ImageReader(channels=1, value_range=(0, 65535)))
    assert grey.test[0].picture.shape == (12, 16, 1)
    assert grey.test[0].picture.max() < 16
