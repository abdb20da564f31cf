from __future__ import annotations

from pathlib import Path

import pytest

from torchseg.config import DistillConfig
from torchseg.pipeline.run.recorded_config import check_same_data, recorded_config, run_of
from torchseg.pipeline.run.session import CONFIG, write_record


def test_a_run_remembers_what_it_was_told_about_pictures(tmp_path):
    write_record(DistillConfig(data="folder", root=Path("mine"), image_size="32,48", seed=3), tmp_path)
    config = recorded_config(tmp_path)
    assert (config.data, config.root, config.size, config.seed) == ("folder", Path("mine"), (32, 48), 3)


def test_pictures_may_have_moved_since(tmp_path):
    write_record(DistillConfig(data="folder", root=Path("mine"), patch_size=64), tmp_path)
    config = recorded_config(tmp_path, root=Path("moved"))
    assert (config.root, config.patch_size) == (Path("moved"), 64)


def test_other_pictures_than_those_of_the_run_are_refused(tmp_path):
    given = {"data": "folder", "root": Path("mine"), "image_size": "32"}
    write_record(DistillConfig(**given), tmp_path)
    check_same_data(DistillConfig(**given), tmp_path)
    for changes in (
        {"root": Path("yours")},
        {"image_size": "48"},
        {"patch_size": 16},
        {"channels": 1},
        {"value_range": "0,4095"},
        {"exif": "ignore"},
    ):
        with pytest.raises(ValueError, match="was made with"):
            check_same_data(DistillConfig(**given | changes), tmp_path)


def test_runs_from_before_images_of_other_channels_keep_their_three(tmp_path):
    config = DistillConfig(data="folder", root=Path("mine"))
    write_record(config, tmp_path)
    lines = (tmp_path / CONFIG).read_text().splitlines(keepends=True)
    (tmp_path / CONFIG).write_text("".join(line for line in lines if not line.startswith("channels")))
    assert recorded_config(tmp_path).channels == 3
    check_same_data(config, tmp_path)


def test_a_file_knows_its_run(tmp_path):
    write_record(DistillConfig(), tmp_path)
    assert run_of(tmp_path / "artifacts" / "student.fp32.onnx") == tmp_path


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is not a run folder: it has no config\.yaml"):
        recorded_config(tmp_path)
    with pytest.raises(ValueError, match="is not in a run folder"):
        run_of(tmp_path / "a.onnx")
