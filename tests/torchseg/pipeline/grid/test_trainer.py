"""What a grid makes, with a stand-in for the commands that train and export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from torchseg.config import MeasureConfig
from torchseg.pipeline.grid.jobs import Outcome
from torchseg.pipeline.grid.plan import expand
from torchseg.pipeline.grid.recipe import Factor, Level, Recipe
from torchseg.pipeline.grid.trainer import TrainingRunner
from torchseg.pipeline.run.folder import RunFolder

KINDS = {"as_is": "torch", "float": "fp32.onnx", "half": "fp16.onnx", "lite": "int8.tflite"}


def plan(**base):
    epochs = Factor(name="epochs", levels=(Level(name="1", flags={"epochs": 1}),))
    files = tuple(Level(name=name, flags={"file": file}) for name, file in KINDS.items())
    factors = (epochs, Factor(name="kind", levels=files))
    return expand(Recipe(base=base, export={"max_drop": "1"}, factors=factors, measure=MeasureConfig()))


class Commands:
    """Writes the files that commands would leave, but for those that are to fail."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.ran = set(failing), []

    def __call__(self, commands, log: Path) -> list[Outcome]:
        outcomes = []
        for name, *arguments in commands:
            flags = dict(each[2:].split("=", 1) for each in arguments if each.startswith("--"))
            self.ran.append((name, flags.get("formats", ""), flags.get("precisions", "")))
            code = self._train(flags) if name == "train" else self._export(arguments[0], flags)
            outcomes.append(Outcome(command=name, code=code, peak_rss_mb=9.0, reason="" if code == 0 else f"no {name}"))
            if code != 0:
                break
        return outcomes

    def _train(self, flags):
        if "train" in self.failing:
            return None
        folder = Path(flags["out"]) / "trained"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("model.safetensors", "card.json", "curves.csv"):
            (folder / name).write_text(json.dumps(flags))
        return 0

    def _export(self, checkpoint, flags):
        for precision in flags["precisions"].split(","):
            if precision in self.failing:
                return 70
            path = Path(checkpoint).parent / "artifacts" / f"trained.{precision}.{flags['formats']}"
            path.parent.mkdir(exist_ok=True)
            path.write_text("model")
            path.with_name(f"{path.name}.json").write_text("{}")
        return 0


def runner(tmp_path, commands, **base):
    made = plan(**base)
    (training,) = made.trainings
    folder, fingerprints = RunFolder(tmp_path / "grid"), {training.name: "pictures"}
    return TrainingRunner(plan=made, folder=folder, fingerprints=fingerprints, launch=commands, threads=1), training


def make(tmp_path, commands, **base):
    maker, training = runner(tmp_path, commands, **base)
    return maker.make(training), maker.is_done(training)


@pytest.mark.parametrize(("flag", "other"), [("crop", "rare"), ("flip", "none")])
def test_a_crop_or_flip_other_than_the_usual_one_is_another_training(flag, other, tmp_path):
    usual, changed = (
        maker.train_stage(training).inputs
        for maker, training in (runner(tmp_path, Commands(), **{flag: value}) for value in ("random", other))
    )
    assert flag not in usual  # as grids were recorded before there was a choice
    assert changed == {**usual, flag: other}


def test_a_training_and_all_its_files_take_one_process_and_are_made_once(tmp_path):
    commands = Commands()
    assert make(tmp_path, commands) == ({}, True)
    assert commands.ran == [("train", "", ""), ("export", "onnx", "fp32,fp16"), ("export", "tflite", "int8")]
    assert json.loads((tmp_path / "grid/trainings/epochs=1/training.json").read_text())["peak_rss_mb"] == 9
    again = Commands()
    assert make(tmp_path, again) == ({}, True)
    assert again.ran == []


def test_a_training_that_crashes_is_the_reason_of_all_its_cells(tmp_path):
    failures, done = make(tmp_path, Commands("train"))
    assert failures == dict.fromkeys(KINDS.values(), "training: no train")
    assert not done


def test_an_export_that_crashes_keeps_no_other_file_from_being_made(tmp_path):
    commands = Commands("fp32")
    failures, done = make(tmp_path, commands)
    assert failures == {"fp32.onnx": "export: no export"}
    assert not done
    repaired = Commands()
    assert make(tmp_path, repaired) == ({}, True)
    assert repaired.ran == [("export", "onnx", "fp32")]


@pytest.mark.parametrize(
    ("name", "ran"),
    [
        ("trained/model.safetensors", ["train", "export", "export"]),
        ("artifacts/trained.int8.tflite", ["export"]),
        ("artifacts/trained.int8.tflite.json", ["export"]),
    ],
)
def test_what_was_damaged_is_made_again(name, ran, tmp_path):
    make(tmp_path, Commands())
    (tmp_path / "grid/trainings/epochs=1" / name).write_text("spoiled")
    commands = Commands()
    assert make(tmp_path, commands) == ({}, True)
    assert [each[0] for each in commands.ran] == ran


def test_a_changed_flag_trains_again_and_an_old_file_does_not_pass_for_a_new_one(tmp_path):
    make(tmp_path, Commands())
    commands = Commands("fp16")
    failures, _ = make(tmp_path, commands, batch_size=2)
    assert commands.ran[0] == ("train", "", "")
    assert failures == {"fp16.onnx": "export: no export"}
