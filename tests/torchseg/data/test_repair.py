from __future__ import annotations

import shutil
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from torchseg.data import inspect_data
from torchseg.data.datasets.folder import folder
from torchseg.data.images.reader import ImageReader
from torchseg.data.masks import io as masks_io
from torchseg.data.repair import repair_folder


@pytest.fixture
def write(tmp_path):
    """Writes thirty images, and masks that `save` makes of the classes 0 to 2; gives the classes by name."""

    def run(save, ending="png"):
        rng, classes = np.random.default_rng(0), {}
        for place in ("mine/images", "mine/masks"):
            (tmp_path / place).mkdir(parents=True)
        for number in range(30):
            name = f"p{number:02d}"
            classes[name] = np.kron(rng.integers(0, 3, (3, 3)), np.ones((16, 16))).astype(np.uint8)
            classes[name][:16, :48] = np.repeat([0, 1, 2], 16)
            image = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
            Image.fromarray(image).save(tmp_path / f"mine/images/{name}.png")
            save(classes[name]).save(tmp_path / f"mine/masks/{name}.{ending}")
        return classes

    return run


def _mended(tmp_path, **options):
    log = repair_folder(tmp_path / "mine", tmp_path / "fixed", **options)
    assert (tmp_path / "fixed/repairs.txt").read_text().splitlines() == log
    data = folder(tmp_path / "fixed")
    assert inspect_data(data).faults == ()
    return data, log


def _agreement(data, expected):
    return min(
        (sample.mask == expected[sample.name]).mean()
        for part in (data.train, data.validation, data.test)
        for sample in part
    )


def test_a_sound_set_stays_as_it_is(tmp_path, write):
    classes = write(Image.fromarray)
    data, log = _mended(tmp_path)
    assert (log, _agreement(data, classes)) == ([], 1)
    first = data.train.pairs[0][0]
    assert first.read_bytes() == (tmp_path / "mine/images" / first.name).read_bytes()


@pytest.mark.parametrize("exif", ["apply", "ignore"])
def test_a_mask_with_an_orientation_is_saved_as_it_looks_or_as_it_is_stored(tmp_path, write, exif):
    classes = write(Image.fromarray)
    tag = Image.Exif()
    tag[0x0112] = 6
    mask = tmp_path / "mine/masks/p07.png"
    stored = np.rot90(classes["p07"]) if exif == "apply" else classes["p07"]
    Image.fromarray(stored).save(mask, exif=tag)
    data, log = _mended(tmp_path, images=ImageReader(channels=0, exif=exif))
    assert _agreement(data, classes) == 1
    assert log == ([f"mask {mask} was turned as its EXIF orientation (6) says"] if exif == "apply" else [])


@pytest.mark.parametrize("kind", ["values", "gaps", "colours", "smoothed"])
def test_every_mask_is_decoded_twice_at_most(tmp_path, write, kind, monkeypatch):
    def save(classes):
        if kind == "smoothed":
            return Image.fromarray(classes * np.uint8(100)).resize((30, 30)).resize((48, 48), Image.Resampling.BICUBIC)
        image = Image.fromarray(classes * np.uint8(5 if kind == "gaps" else 1), "P" if kind == "colours" else "L")
        if kind == "colours":
            image.putpalette([0, 0, 0, 200, 0, 0, 0, 0, 200])
            image = image.convert("RGB")
        return image

    write(save)
    decoded = Counter()
    check = masks_io.check_memory
    monkeypatch.setattr(
        masks_io, "check_memory", lambda path, *args, **more: (decoded.update([path]), check(path, *args, **more))
    )
    repair_folder(tmp_path / "mine", tmp_path / "fixed")
    assert set(decoded.values()) == {2}
    assert len(decoded) == 30


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_mixed_pixels_take_the_nearest_class(tmp_path, write, ending):
    def save(classes):
        image = Image.fromarray((classes > 0) * np.uint8(255))
        return image if ending == "jpg" else image.resize((24, 24), 0).resize((48, 48), Image.Resampling.BILINEAR)

    classes = write(save, ending)
    data, log = _mended(tmp_path)
    assert data.classes == ("class_0", "class_1")
    assert _agreement(data, {name: mask > 0 for name, mask in classes.items()}) > 0.97
    if ending == "png":
        assert any("pixels of mixed values took the class nearest to them" in line for line in log)


def test_mixed_colours_take_the_class_beside_them(tmp_path, write):
    table = np.array([[0, 0, 0], [192, 128, 128], [0, 64, 128]], np.uint8)
    classes = write(
        lambda mask: Image.fromarray(table[mask]).resize((47, 47), Image.Resampling.BILINEAR).resize((48, 48))
    )
    (tmp_path / "mine/classes.txt").write_text("sky 000000\nperson C08080\ncar 004080\n")
    data, _ = _mended(tmp_path)
    assert data.classes == ("sky", "person", "car")
    assert _agreement(data, classes) > 0.9


def test_values_with_gaps_are_numbered(tmp_path, write):
    classes = write(lambda mask: Image.fromarray(np.array([0, 7, 15], np.uint8)[mask]))
    data, log = _mended(tmp_path)
    assert data.classes == ("class_0", "class_7", "class_15")
    assert (log, _agreement(data, classes)) == (["values were numbered from 0: 7 to 1, 15 to 2"], 1)


def test_masks_of_another_size_are_resized(tmp_path, write):
    classes = write(lambda mask: Image.fromarray(mask).resize((24, 24), 0))
    data, log = _mended(tmp_path)
    assert _agreement(data, classes) == 1
    assert len(log) == 30
    assert log[0].endswith("was resized to 48x48")


def test_what_cannot_be_mended_is_left_out(tmp_path, write):
    write(Image.fromarray)
    mine = tmp_path / "mine"
    (mine / "classes.txt").write_text("sky\nperson\ncar\n")
    (mine / "masks/p00.png").unlink()
    (mine / "masks/p01.png").write_text("no image")
    (mine / "images/p02.png").write_text("no image")
    Image.fromarray(np.full((48, 48), 9, np.uint8)).save(mine / "masks/p03.png")
    Image.fromarray(np.zeros((20, 48), np.uint8)).save(mine / "masks/p04.png")
    shutil.copy(mine / "images/p06.png", mine / "images/p05.png")
    data, log = _mended(tmp_path)
    assert sum(len(part) for part in (data.train, data.validation, data.test)) == 24
    for part in (
        "p00.png has no mask",
        "masks/p01.png",
        "images/p02.png",
        "value 9, which is no",
        "other shapes, 20x48",
    ):
        assert sum(part in line.replace("\\", "/") for line in log) == 1
    assert any("is image 'p0" in line for line in log)


def test_an_image_in_several_lists_stays_in_one(tmp_path, write):
    write(Image.fromarray)
    for part, numbers in {"train": range(25), "val": range(20, 25), "test": range(20, 30)}.items():
        (tmp_path / f"mine/{part}.txt").write_text("".join(f"p{number:02d}.png\n" for number in numbers))
    data, log = _mended(tmp_path)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [20, 5, 5]
    assert log == ["5 images in several lists were kept in one, and none of them in that of train"]


def test_the_copy_goes_into_a_new_folder(tmp_path, write):
    write(Image.fromarray)
    with pytest.raises(ValueError, match=r"--fix .*mine exists already; give a new folder for the copy"):
        repair_folder(tmp_path / "mine", tmp_path / "mine")


def test_images_of_other_channels_and_depths_are_copied_as_they_are(tmp_path, write):
    classes = write(Image.fromarray)
    images = tmp_path / "mine/images"
    for path in sorted(images.iterdir()):
        picture = np.asarray(Image.open(path), np.float32) * 3 - 200
        np.save(path.with_suffix(".npy"), np.dstack([picture, picture[..., :1]]))
        path.unlink()
    shown, hidden = np.load(images / "p05.npy"), np.load(images / "p05.npy")
    hidden[..., 3] += 1  # in the fourth band alone
    np.save(images / "p06.npy", hidden)
    np.save(images / "p07.npy", shown)
    reader = ImageReader(channels=0, value_range=(-200, 600))
    log = repair_folder(tmp_path / "mine", tmp_path / "fixed", images=reader)
    assert len(log) == 1
    assert "is image 'p0" in log[0]
    data = folder(tmp_path / "fixed", images=reader)
    assert (data.images.channels, _agreement(data, classes)) == (4, 1)


def test_a_mask_drawn_on_the_image_as_stored_is_kept_where_the_orientation_is_ignored(tmp_path, write):
    write(lambda mask: Image.fromarray(mask[:32]))
    tag = Image.Exif()
    tag[0x0112] = 6
    for path in (tmp_path / "mine/images").iterdir():
        Image.open(path).crop((0, 0, 48, 32)).save(path, exif=tag)
    assert repair_folder(tmp_path / "mine", tmp_path / "fixed", images=ImageReader(channels=0, exif="ignore")) == []
    assert all("have other shapes" in line for line in repair_folder(tmp_path / "mine", tmp_path / "other"))


def test_class_numbers_in_a_jpeg_cannot_be_repaired(tmp_path, write):
    write(Image.fromarray, ending="jpg")
    with pytest.raises(ValueError, match=r"mask .*\.jpg: it holds the values .* so near that it may have changed one"):
        repair_folder(tmp_path / "mine", tmp_path / "fixed")


def test_noise_of_a_jpeg_around_values_far_apart_is_repaired(tmp_path, write):
    classes = write(lambda classes: Image.fromarray(classes * np.uint8(100)), ending="jpg")
    data, _ = _mended(tmp_path)
    assert _agreement(data, classes) > 0.99
