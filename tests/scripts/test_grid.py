"""A grid in miniature: the published recipe with small overrides, through the command itself."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts import grid
from torchseg.data.file_samples import share_of
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.pipeline.grid import scorer
from torchseg.pipeline.grid.jobs import Jobs, read_outcomes
from torchseg.pipeline.grid.tables import AVERAGE, COMPRESSED, EFFECTS, INDIVIDUAL, TIMING_COLUMNS, TRAINED
from torchseg.pipeline.run.folder import RunFolder

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """Small pictures of three shades, which are the classes, in the official layout of the pets."""
    root = tmp_path_factory.mktemp("data")
    for folder in ("images", "annotations/trimaps"):
        (root / folder).mkdir(parents=True)
    names = [f"pet_{number}" for number in range(60)]
    validation = [name for name in names if share_of(name) < 0.15][:3]
    trainval = [name for name in names if share_of(name) >= 0.15][:12] + validation
    for number, name in enumerate(names):
        random = np.random.default_rng(number)
        shades = np.repeat(random.permutation(3), random.multinomial(13, [1 / 3] * 3) + 1)  # of 16 columns
        picture = 40 + 80 * shades[None, :, None] + random.integers(-20, 20, (16, 16, 3))
        Image.fromarray(picture.astype(np.uint8)).save(root / f"images/{name}.jpg", quality=98)
        trimap = np.repeat(shades[None].astype(np.uint8) + 1, 16, axis=0)
        Image.fromarray(trimap).save(root / f"annotations/trimaps/{name}.png")
    (root / "annotations/trainval.txt").write_text("\n".join(trainval))
    (root / "annotations/test.txt").write_text("\n".join(names[-5:]))
    return root


@pytest.fixture(scope="module")
def flags(pets):
    """Four trainings in four files each."""
    changes = [
        "image_size=16",
        "batch_size=4",
        "workers=0",
        "learning_rate=0.02",
        "factors.epochs=[4, 8]",
        "measure.pictures=2",
    ]
    changes += ["factors.filters={model_arguments.base_width: [16]}", "model_arguments.depth=1"]
    return [str(RECIPES / "unet12.yaml"), "--root", str(pets), "--threads", "1", "--set", *changes]


@pytest.fixture(autouse=True)
def here(monkeypatch, train_here):
    train_here(monkeypatch)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def without_timing(out: Path, name: str) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key not in TIMING_COLUMNS} for row in read(out / name)]


def verdict(out: Path) -> int:
    """1 where a certificate fails: in half precision a single pixel between two classes may turn, out of so few."""
    statuses = {row["status"] for row in read(out / AVERAGE)}
    assert statuses <= {"ok", "certificate fails"}
    return int(statuses != {"ok"})


def interrupt(monkeypatch, owner, name, *, call):
    """The user's Ctrl-C in this call of a function, after which none works; gives what counts the calls."""
    calls, function = [], getattr(owner, name)

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) >= call:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, interrupted)
    return calls


@pytest.fixture(scope="module")
def finished(flags, tmp_path_factory, train_here):
    """The grid in one go; it is the slow part, so tests share it and change nothing in it."""
    pytest.importorskip("ai_edge_litert")
    out = tmp_path_factory.mktemp("finished") / "grid"
    with pytest.MonkeyPatch.context() as patch:
        train_here(patch)
        assert grid.main([*flags[:1], "--out", str(out), *flags[1:]]) == verdict(out)
    return out


@pytest.mark.slow
@pytest.mark.tflite
def test_the_four_tables_have_a_row_for_everything(finished):
    assert len(read(finished / TRAINED)) == 4
    compressed = read(finished / COMPRESSED)
    assert [row["file"] for row in compressed] == ["torch", "dynamic.tflite", "fp16.tflite", "int8.tflite"] * 4
    assert [row["certified"] for row in compressed if row["file"] in ("torch", "int8.tflite")] == ["", "true"] * 4
    averages = read(finished / AVERAGE)
    assert [(row["epochs"], row["batch_norm"], row["quantization"]) for row in averages[:4]] == [
        ("4", "with", name) for name in ("no", "fp32", "fp16", "int8")
    ]
    assert 0 < float(averages[0]["memory_mb"]) < 1  # objects of Python alone, as the recipe wants
    individual = read(finished / INDIVIDUAL)
    assert len(individual) == 16 * 2
    assert float(averages[0]["iou_of_pictures"]) == pytest.approx(
        np.mean([float(row["iou"]) for row in individual[:2]]), abs=1e-6
    )
    effects = {(row["factor"], row["level"], row["metric"]): row for row in read(finished / EFFECTS)}
    assert effects["quantization", "int8", "size_bytes"]["settings"] == "4"
    sizes = [float(row["size_bytes"]) for row in averages]
    assert float(effects["epochs", "8", "size_bytes"]["effect"]) == pytest.approx(1, abs=0.02)
    assert sizes[0] == sizes[8]


@pytest.mark.slow
@pytest.mark.tflite
def test_figures_and_ordinary_run_folders_are_left(finished):
    for name in ("main_effects", "view"):
        with Image.open(finished / f"figures/{name}.png") as image:
            assert image.width > 400
    for run in sorted((finished / "trainings").iterdir()):
        assert (run / "config.yaml").is_file()
        assert not (run / "cache").exists()
    assert not list(finished.rglob("*.partial*"))


class Remembered:
    """Trains, and takes files of the same weights from the finished grid: exporting is the longest part of a test."""

    def __init__(self, finished: Path, run_here) -> None:
        self.finished, self.run_here = finished, run_here

    def __call__(self, jobs, commands, log):
        outcomes = self.run_here(jobs, [each for each in commands if each[0] == "train"], log)
        run, known = log.parents[1] / "trainings" / log.stem, self.finished / "trainings" / log.stem
        weights = "trained/model.safetensors"
        assert (run / weights).read_bytes() == (known / weights).read_bytes()
        shutil.copytree(known / "artifacts", run / "artifacts")
        return outcomes


@pytest.mark.slow
@pytest.mark.tflite
def test_a_grid_killed_twice_ends_with_the_same_tables(finished, flags, run_commands_here, monkeypatch, tmp_path):
    out = tmp_path / "killed"
    command = [*flags[:1], "--out", str(out), *flags[1:]]
    remembered = Remembered(finished, run_commands_here)
    monkeypatch.setattr(Jobs, "run", lambda *arguments: remembered(*arguments))
    with monkeypatch.context() as patch:
        interrupt(patch, Jobs, "run", call=3)
        assert grid.main(command) == 130
    assert len(list((out / "trainings").glob("*/trained/model.safetensors"))) == 2
    with monkeypatch.context() as patch:
        trained = interrupt(patch, Jobs, "run", call=99)
        interrupt(patch, scorer, "score_artifacts", call=2)
        assert grid.main(command) == 130
    assert len(trained) == 2
    assert not (out / AVERAGE).exists()
    with monkeypatch.context() as patch:
        measured = interrupt(patch, scorer, "score_artifacts", call=99)
        assert grid.main(command) == verdict(out)
    assert len(measured) == 3
    for name in (TRAINED, COMPRESSED, INDIVIDUAL, AVERAGE):
        assert without_timing(out, name) == without_timing(finished, name), name


@pytest.mark.slow
@pytest.mark.tflite
def test_the_corrected_recipe_trains_nothing_again(finished, flags, tmp_path, capsys):
    out = tmp_path / "shared"
    shutil.copytree(finished, out)
    one = [*flags[1:], "factors.epochs=[4]", "factors.batch_norm={with: {model_arguments.batch_norm: true}}"]
    assert grid.main([str(RECIPES / "unet12-corrected.yaml"), "--out", str(out), *one]) == verdict(out)
    log = (out / "logs/epochs=4_filters=16_batch_norm=with.log").read_text()
    assert "train" not in {line.split()[2] for line in log.splitlines() if line.startswith("$ ")}
    assert "--precisions=fp32 " in log  # fp16 and int8 are there already
    assert "quantization no -> fp32" in capsys.readouterr().out
    row = next(row for row in read(out / AVERAGE) if row["quantization"] == "fp32")
    assert row["file"] == "fp32.tflite"
    assert float(row["argmax_agreement"]) > 0.999


@pytest.mark.slow
@pytest.mark.tflite
def test_a_cell_that_fails_is_named_and_the_others_go_on(finished, flags, monkeypatch, tmp_path, capsys):
    out = tmp_path / "failing"
    shutil.copytree(finished, out)
    (out / "trainings/epochs=4_filters=16_batch_norm=with/artifacts/trained.int8.tflite").unlink()
    (out / "trainings/epochs=8_filters=16_batch_norm=with/trained/model.safetensors").unlink()

    def crash(self, commands, log):
        return read_outcomes("".join(f"$ torchseg {each[0]}\nout of luck\n" for each in commands[:1]), -11)

    monkeypatch.setattr(Jobs, "run", crash)
    assert grid.main([*flags[:1], "--out", str(out), *flags[1:]]) == 1
    rows = {(row["epochs"], row["batch_norm"], row["quantization"]): row for row in read(out / AVERAGE)}
    assert [key for key, row in rows.items() if row["status"] == "failed"] == [
        ("4", "with", "int8"),
        *(("8", "with", name) for name in ("no", "fp32", "fp16", "int8")),
    ]
    assert rows["4", "with", "int8"]["reason"] == ("export: its process died with SIGSEGV; its last line: out of luck")
    assert rows["8", "with", "no"]["iou"] == ""
    assert rows["4", "with", "fp16"]["iou"] != ""
    out_text = capsys.readouterr().out
    assert "FAILED: epochs=8 filters=16 batch_norm=with quantization=no: failed: training: its process died" in out_text
    assert "The same command tries again what failed." in out_text


@pytest.mark.slow
def test_trainings_run_in_processes_of_their_own(pets, monkeypatch, tmp_path, capsys):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scorer, "LatencyConfig", lambda **_: LatencyConfig(rounds=1, repeats=1, max_rounds=1))
    changes = ["image_size=16", "batch_size=4", "factors.epochs=[1]", "measure.pictures=1"]
    changes += [
        "factors.filters={model_arguments.base_width: [16]}",
        "factors.batch_norm={model_arguments.batch_norm: [true]}",
    ]
    changes += ["factors.quantization={file: [torch]}", "model_arguments.depth=1"]
    assert (
        grid.main([str(RECIPES / "unet12-corrected.yaml"), "--root", str(pets), "--jobs", "2", "--set", *changes]) == 0
    )
    out = Path("runs/unet12-corrected")
    (row,) = read(out / AVERAGE)
    assert (row["status"], row["file"]) == ("ok", "torch")
    assert float(row["memory_mb"]) > 1
    assert "trained and exported 1 of 1: epochs=1_filters=16_batch_norm=true" in capsys.readouterr().out
    assert "--threads=1" in next((out / "logs").iterdir()).read_text()
    assert next((out / "trainings").glob("*/report.html")).is_file()


def test_a_grid_that_cannot_work_is_refused_before_anything_is_written(flags, refusal):
    for change, message in (
        ("epoch=3", "did you mean 'epochs'"),
        ("model=xception", "did you mean 'xception_unet'"),
        ("image_size=18", "both sides must divide by 4"),
        ("measure.classes=tail", "the data has pet, background, border"),
        ("measure.view=nobody", "there is no such test image"),
        ("loss=dise", "did you mean 'dice'"),
        ("factors.epochs=[x]", "epochs is 'x'; give a whole number"),
    ):
        assert grid.main([*flags[:1], "--out", "grid", *flags[1:], change]) == 2
        assert message in refusal()
        assert not Path("grid").exists()
    assert grid.main(["gone.yaml"]) == 2
    assert "there is no recipe gone.yaml" in refusal()
    assert grid.main([flags[0], "--jobs", "0"]) == 2
    assert "run at least 1 training at a time" in refusal()


def test_a_second_grid_in_the_folder_of_a_running_one_is_refused(flags, refusal):
    with RunFolder(Path("grid")).held():
        assert grid.main([*flags[:1], "--out", "grid", *flags[1:]]) == 2
    assert re.search(r"another command is running in grid \(.*\); wait until it has ended", refusal())
