"""What commands refuse before they train."""

from __future__ import annotations

import shutil

import pytest

from torchseg.config import DataConfig, LearningConfig
from torchseg.data.datasets.folder import folder
from torchseg.pipeline.run.dataset import check_stage, open_pictures
from torchseg.pipeline.run.folder import RunFolder


def test_an_image_in_two_splits_stops_the_first_stage(drawn_pictures, tmp_path):
    root = shutil.copytree(drawn_pictures, tmp_path / "mine")
    data = folder(root)
    train, test = data.train.pairs[0][0], data.test.pairs[0][0]
    shutil.copy(train, test)
    config = LearningConfig(data="folder", root=root, image_size="16", threads=1)
    message = f"image '{test.stem}' of the test split is image '{train.stem}' of the train split"
    with pytest.raises(ValueError, match=message):
        RunFolder(tmp_path / "run").do(check_stage(open_pictures(config), config))


def test_flags_that_change_classes_change_the_fingerprint_and_no_other_does(drawn_pictures):
    def opened(**flags):
        return open_pictures(DataConfig(data="folder", root=drawn_pictures, **flags))

    plain, merged = opened(), opened(merge="striped,checked -> a")
    assert plain.fingerprint == opened().fingerprint
    assert merged.fingerprint != plain.fingerprint
    assert merged.spec.classes == ("ground", "a", "wire", "ring")
