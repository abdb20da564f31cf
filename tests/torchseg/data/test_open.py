from __future__ import annotations

import pytest

from torchseg.data import open_data


def test_an_unknown_name_brings_the_near_ones(tmp_path):
    with pytest.raises(
        ValueError, match=r"no data set 'oxfordpet' \(did you mean 'oxford-pet'.*\?\); choose from folder,"
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
    assert len(open_data("scenes", None, size=(16, 16)).train) > 100
