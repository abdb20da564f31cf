from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from torchseg.data import BoundedSamples, HeldSamples, PatchPlan, PatchSamples, UnlabelledPictures
from torchseg.data.datasets.folder import folder
from torchseg.data.images.identical import image_files, shared_images
from torchseg.data.images.reader import ImageReader


@pytest.fixture
def files(tmp_path):
    """One image in each split, no two alike."""
    rng = np.random.default_rng(0)
    paths = {part: tmp_path / f"{part}.png" for part in ("train", "validation", "test", "transfer")}
    for path in paths.values():
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(path)
    return {part: [path] for part, path in paths.items()}


def test_different_images_of_one_size_are_no_fault(files):
    assert shared_images(files) == []


@pytest.mark.parametrize(("part", "other"), [("train", "validation"), ("train", "test"), ("test", "transfer")])
def test_a_copied_file_is_found(files, part, other):
    shutil.copy(files[part][0], files[other][0])
    assert shared_images(files, most_pixels=0) == [
        f"image '{other}' of the {other} split is image '{part}' of the {part} split; remove it from one of them"
    ]


@pytest.mark.parametrize("part", ["train", "validation"])
def test_images_without_masks_may_be_those_of_training_and_validation(files, part):
    shutil.copy(files[part][0], files["transfer"][0])
    assert shared_images(files) == []


def test_an_image_saved_again_is_found_within_the_limit(files):
    with Image.open(files["train"][0]) as image:
        image.save(files["test"][0].with_suffix(".bmp"))
    files["test"] = [files["test"][0].with_suffix(".bmp")]
    assert "image 'test' of the test split is image 'train' of the train split" in shared_images(files)[0]
    assert shared_images(files, most_pixels=0) == []


def test_the_files_behind_samples_are_found(write_pair, tmp_path):
    for number in range(30):
        write_pair(f"picture{number}")
    train = folder(tmp_path).train
    expected = [picture for picture, _ in train.pairs]
    assert image_files(HeldSamples(BoundedSamples(train, height=8, width=8))) == expected
    assert image_files(PatchSamples(train, PatchPlan(size=8))) == expected
    assert image_files(UnlabelledPictures(tmp_path / "images")) == sorted((tmp_path / "images").iterdir())
    assert image_files([]) == ()


def test_arrays_of_other_channels_are_compared_too(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (6, 8, 5), dtype=np.uint16)
    other = values.copy()
    other[..., 4] = 4095 - other[..., 4]
    paths = {"train": tmp_path / "train.npy", "validation": tmp_path / "validation.npy", "test": tmp_path / "test.npy"}
    for part, array in zip(paths, (values, other, np.asfortranarray(values)), strict=True):
        np.save(paths[part], array)
    reader = ImageReader(channels=5, value_range=(0, 4095))
    found = shared_images({part: [path] for part, path in paths.items()}, images=reader)
    assert found == ["image 'test' of the test split is image 'train' of the train split; remove it from one of them"]
