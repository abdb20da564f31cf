from __future__ import annotations

from pathlib import Path

import pytest

from torchseg.config import DistillConfig, ExportConfig, ScoreConfig
from torchseg.pipeline.run.recorded_config import (
    check_no_contradiction,
    check_same_data,
    data_of_run,
    recorded_config,
    run_of,
)
from torchseg.pipeline.run.session import CONFIG, write_record


def test_a_run_remembers_what_it_was_told_about_pictures(tmp_path):
    write_record(DistillConfig(data="folder", root=Path("mine"), image_size="32,48", seed=3), tmp_path)
    config = recorded_config(tmp_path)
    assert (config.data, config.root, config.size, config.seed) == ("folder", Path("mine"), (32, 48), 3)


def test_pictures_may_have_moved_since(tmp_path):
    write_record(DistillConfig(data="folder", root=Path("mine"), patch_size=64), tmp_path)
    config = recorded_config(tmp_path, root=Path("moved"))
    assert (config.root, config.patch_size) == (Path("moved"), 64)


def test_a_command_on_a_checkpoint_takes_the_data_of_its_run_where_they_are_now(tmp_path):
    write_record(DistillConfig(data="folder", root=Path("mine"), image_size="32,48"), tmp_path)
    checkpoint = tmp_path / "student"
    assert data_of_run(ExportConfig(checkpoint=checkpoint), checkpoint).root == Path("mine")
    moved = data_of_run(ExportConfig(checkpoint=checkpoint, root=Path("moved")), checkpoint)
    assert (moved.data, moved.root, moved.size) == ("folder", Path("moved"), (32, 48))


def test_a_command_that_names_its_data_needs_no_run(tmp_path):
    config = ExportConfig(checkpoint=tmp_path / "student", data="scenes", image_size="96")
    assert data_of_run(config, config.checkpoint) is config


@pytest.mark.parametrize("flags", [{"image_size": "96"}, {"exif": "ignore"}, {"merge": "a,b -> c"}])
def test_a_flag_about_images_that_would_have_no_effect_is_refused(flags, tmp_path):
    write_record(DistillConfig(data="folder", root=Path("mine"), image_size="32"), tmp_path)
    config = ExportConfig(checkpoint=tmp_path / "student", **flags)
    with pytest.raises(ValueError, match=f"--{next(iter(flags))} is .*, but the run was made with"):
        data_of_run(config, config.checkpoint)


def test_a_flag_that_says_what_the_run_says_is_welcome(tmp_path):
    write_record(DistillConfig(data="folder", root=Path("mine"), image_size="32"), tmp_path)
    config = ExportConfig(checkpoint=tmp_path / "student", image_size="32,32")
    assert data_of_run(config, config.checkpoint).size == (32, 32)


def test_a_flag_that_a_command_uses_for_a_run_may_differ():
    recorded = DistillConfig(data="folder", image_size="32", channels=3)
    check_no_contradiction(ScoreConfig(image_size="96"), recorded, besides=["image_size"])
    with pytest.raises(ValueError, match="--channels is 1, but the run was made with 3"):
        check_no_contradiction(ScoreConfig(image_size="96", channels=1), recorded, besides=["image_size"])


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
