"""Every recipe in miniature, and then its correction in the same folder, which trains what the mistake touched.

Files are scored in this process: that they have one of their own is tested in tests/torchseg/harness.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from scripts import distill
from torchseg.losses import SOFT_LOSSES

_RECIPES = Path(__file__).parents[2] / "recipes"
_MISTAKES = {
    "prune-cluster": {"prune_end"},
    "kd-levelprune": {"soft_loss", "prune_at_start", "prune_epochs"},
    "driving": {"soft_loss"},
}
_MINIATURE = [
    *("--image_size", "32", "--batch_size", "2", "--workers", "0", "--threads", "1", "--formats", "onnx"),
    *("--precisions", "fp32", "--epochs", "1", "--teacher_epochs", "1", "--cluster_epochs", "1", "--out", "run"),
]
_NARROW = ["--student_arguments", "base_width=4"]
_RUN = Path("run")


@pytest.fixture(autouse=True)
def in_miniature(monkeypatch, measure_here):
    """One process, and one file a recipe instead of several networks and precisions."""
    measure_here(monkeypatch)
    monkeypatch.setattr("torchseg.pipeline.commands.distill.DENSE", {"student": (), "teacher": ()})


@pytest.fixture
def run(capsys):
    """Runs a recipe and gives the stages that it did."""

    def main(name: str, *flags: str) -> list[str]:
        assert distill.main(["--config", str(_RECIPES / f"{name}.yaml"), *_MINIATURE, *flags]) == 0
        done = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Done in"))
        return done.partition(": ")[2].split(", ")

    return main


@pytest.fixture
def train_only(monkeypatch):
    """Leaves out files and scores, which a correction makes as its recipe does."""

    def apply():
        monkeypatch.setattr("torchseg.pipeline.commands.distill.Chain._files", lambda _: ())

    return apply


def _rows(name):
    with (_RUN / name).open(newline="") as file:
        return list(csv.DictReader(file))


def _check_stages(*stages):
    """Masks, loss curves and precision-recall curves of each stage."""
    checkpoints = {f"{stage}/model.safetensors" for stage in stages}
    assert {row["artifact"] for row in _rows("scores.csv") if row["format"] == "torch"} == checkpoints
    assert checkpoints <= {row["artifact"] for row in _rows("precision_recall.csv")}
    samples = json.loads((_RUN / "figures/gallery.json").read_text())["samples"]
    assert checkpoints <= samples[0]["labels"].keys()
    for stage in stages:
        assert _rows(f"{stage}/curves.csv")[0]["train_loss"]
    assert (_RUN / "report.html").is_file()
    return {row["artifact"]: row for row in _rows("scores.csv")}


@pytest.mark.slow
def test_prune_cluster(run, pets, train_only):
    flags = ["--root", str(pets), *_NARROW, "--prune_epochs", "2"]
    run("prune-cluster", *flags, "--prune_end", "10")
    scores = _check_stages("student", "pruned", "clustered")
    assert not (_RUN / "teacher").exists()
    assert float(scores["pruned/model.safetensors"]["sparsity"]) == pytest.approx(0.6, abs=0.01)
    assert int(scores["clustered/model.safetensors"]["max_unique_weights"]) <= 6
    train_only()
    assert run("prune-cluster-corrected", *flags, "--prune_end", "1.5 epochs") == ["pruned", "clustered"]


@pytest.mark.slow
def test_kd_levelprune(run, aerial_tiles, train_only):
    narrow = ("--student_arguments", "base_width=4,dropout=0.47", "--teacher_arguments", "base_width=8,dropout=0.47")
    flags = ["--root", str(aerial_tiles), *narrow, "--prune_epochs", "1"]
    run("kd-levelprune", *flags)
    scores = _check_stages("teacher", "student", "pruned")
    assert float(scores["pruned/model.safetensors"]["sparsity"]) == pytest.approx(0.8, abs=0.01)
    train_only()
    assert run("kd-levelprune-corrected", *flags) == ["student", "pruned"]
    assert run("kd-levelprune", *flags, "--teacher", "null") == ["student", "pruned"]  # what ran in its stead


@pytest.mark.slow
def test_pipeline(run, pets):
    run("pipeline", "--root", str(pets), *_NARROW, "--prune_epochs", "2")
    scores = _check_stages("student", "pruned")
    file = scores["artifacts/pruned.fp32.onnx"]
    assert int(file["gzip_bytes"]) < int(file["size_bytes"])


@pytest.mark.slow
def test_driving(run, coloured_idd, train_only):
    flags = ["--root", str(coloured_idd("train", "val", "test")), *_NARROW, "--teacher_arguments", "base_width=4"]
    run("driving", *flags)
    _check_stages("teacher", "student")
    assert len({row["class"] for row in _rows("per_class.csv") if row["class_index"]}) == 27
    train_only()
    assert run("driving-corrected", *flags) == ["student"]


@pytest.mark.parametrize(("name", "mistakes"), _MISTAKES.items())
def test_a_correction_differs_in_the_mistakes_alone(name, mistakes):
    published, corrected = (
        yaml.safe_load((_RECIPES / f"{name}{ending}.yaml").read_text()) for ending in ("", "-corrected")
    )
    assert {key for key in published | corrected if published.get(key) != corrected.get(key)} == mistakes | {"out"}


_PUBLISHED = [  # unet12 are grids, results-* are not published projects but this one
    path for path in sorted(_RECIPES.glob("*.yaml")) if not path.stem.startswith(("unet12", "results-"))
]


@pytest.mark.parametrize("path", _PUBLISHED, ids=lambda path: path.stem)
def test_published_projects_keep_their_training_whatever_the_defaults_become(path):
    """What they published: batches of labelled images alone, and the weights of the best epoch as they are."""
    values = yaml.safe_load(path.read_text())
    assert values["ema"] == 0
    assert {"learning_rate", "batch_size"} <= values.keys()
    if values["teacher"] is not None:
        assert values["transfer_ratio"] == 0
        assert values["soft_loss"] in SOFT_LOSSES  # one term


@pytest.mark.parametrize("path", sorted(_RECIPES.glob("results-*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_of_results_names_networks_and_lengths(path):
    values = yaml.safe_load(path.read_text())
    assert {
        "teacher",
        "teacher_epochs",
        "student",
        "epochs",
        "batch_size",
        "learning_rate",
        "image_size",
    } <= values.keys()
    with pytest.raises(SystemExit) as ended:
        distill.main(["--config", str(path), "--print_config"])
    assert ended.value.code in (0, None)


@pytest.mark.parametrize("name", ["unet12", "unet12-corrected"])
def test_the_published_grid_keeps_its_training_too(name):
    base = yaml.safe_load((_RECIPES / f"{name}.yaml").read_text())["base"]
    assert {key: base[key] for key in ("batch_size", "learning_rate", "ema")} == {
        "batch_size": 32,
        "learning_rate": 0.002,
        "ema": 0,
    }
