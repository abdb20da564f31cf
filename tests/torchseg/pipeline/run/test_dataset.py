"""What commands refuse before they train."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from PIL import Image

from torchseg.config import DataConfig, LearningConfig
from torchseg.data.datasets.folder import folder
from torchseg.pipeline.run.dataset import cached_pictures, check_stage, open_pictures
from torchseg.pipeline.run.folder import RunFolder


def test_an_image_in_two_splits_stops_the_first_stage(drawn_pictures, tmp_path):
    root = shutil.copytree(drawn_pictures, tmp_path / "mine")
    data = folder(root, group="none")
    train, test = data.train.pairs[0][0], data.test.pairs[0][0]
    shutil.copy(train, test)
    config = LearningConfig(data="folder", root=root, image_size="16", threads=1, group="none")
    message = f"image '{test.stem}' of the test split is image '{train.stem}' of the train split"
    with pytest.raises(ValueError, match=message):
        RunFolder(tmp_path / "run").do(check_stage(open_pictures(config), config))


def test_the_names_of_every_split_stand_in_the_run(drawn_pictures, tmp_path):
    config = LearningConfig(data="folder", root=drawn_pictures, image_size="16", threads=1)
    pictures = open_pictures(config)
    assert RunFolder(tmp_path / "run").do(check_stage(pictures, config))
    report = json.loads((tmp_path / "run" / "data.json").read_text(encoding="utf-8"))
    for split in ("train", "validation", "test"):
        assert report[split]["names"] == [path.stem for path in pictures.files[split]]


def test_other_groups_change_the_fingerprint_of_splits_that_they_choose_and_of_no_other(drawn_pictures, tmp_path):
    def fingerprints(root):
        return {
            open_pictures(DataConfig(data="folder", root=root, group=group)).fingerprint for group in ("auto", "none")
        }

    assert len(fingerprints(drawn_pictures)) == 2
    listed = shutil.copytree(drawn_pictures, tmp_path / "listed")
    names = sorted(path.stem for path in (listed / "images").iterdir())
    for split, chosen in (("train", names[2:]), ("validation", names[:1]), ("test", names[1:2])):
        (listed / f"{split}.txt").write_text("\n".join(chosen))
    assert len(fingerprints(listed)) == 1


def test_flags_that_change_classes_change_the_fingerprint_and_no_other_does(drawn_pictures):
    def opened(**flags):
        return open_pictures(DataConfig(data="folder", root=drawn_pictures, **flags))

    plain, merged = opened(), opened(merge="striped,checked -> a")
    assert plain.fingerprint == opened().fingerprint
    assert merged.fingerprint != plain.fingerprint
    assert merged.spec.classes == ("ground", "a", "wire", "ring")


def test_trainings_stay_valid_where_images_are_touched_and_not_where_one_changes(drawn_pictures, tmp_path):
    root = shutil.copytree(drawn_pictures, tmp_path / "mine")
    config = LearningConfig(data="folder", root=root, image_size="16", threads=1)

    def fingerprint():
        pictures = open_pictures(config)
        RunFolder(tmp_path / "run").do(check_stage(pictures, config))
        return cached_pictures(pictures, tmp_path / "run").fingerprint

    first = fingerprint()
    images = sorted((root / "images").iterdir())
    for path in images:
        os.utime(path, (0, 0))
    assert fingerprint() == first
    with Image.open(images[0]) as image:
        blank = Image.new("RGB", image.size)
    blank.save(images[0])
    assert fingerprint() != first
