"""Numbers in the tables of a run that were changed, with the manifest repaired, are found by computing them again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from torchseg.checkpoint import Card, save_checkpoint
from torchseg.harness.csv_table import read_table, write_rows
from torchseg.harness.measure.weights import count_weights, weights_in
from torchseg.harness.scoring.columns import CLASS_COLUMNS, MEAN, MEASURES
from torchseg.harness.scoring.measurement import sha256_of_parts
from torchseg.metrics import overlap
from torchseg.modelfile.model_file import ModelFile
from torchseg.models import build_model
from torchseg.pipeline.manifest.table_check import table_problems
from torchseg.spec import ImageSpec

NAME = "student/model.safetensors"
COUNTS = np.array([[90, 10, 0], [20, 80, 0], [0, 0, 0]])
ACCURACY = ("miou", "mean_dice", "pixel_accuracy", "mean_precision", "mean_recall")


@pytest.fixture
def run(tmp_path):
    """A checkpoint and its honest tables; the third class never occurs."""
    spec = ImageSpec(height=8, width=16, classes=("sky", "road", "car"))
    arguments = {"base_width": 2, "depth": 1}
    network = build_model("small_unet", arguments, spec)
    save_checkpoint(
        network, Card(builder="small_unet", spec=spec, stage="student", arguments=arguments), tmp_path / "student"
    )
    file, scores = ModelFile(tmp_path / NAME), overlap(COUNTS)
    weights = count_weights(each.rows for each in weights_in(file.path))
    row = {"artifact": NAME, "runtime": "torch", "threads": 1, "sha256": sha256_of_parts(file)}
    row |= {"size_bytes": file.size_bytes, "sparsity": round(weights.sparsity, 6), "error": ""}
    row |= {"max_unique_weights": weights.max_unique_weights}
    row |= {name: round(float(getattr(scores, name)), 6) for name in ACCURACY}
    write_rows(tmp_path / "scores.csv", tuple(row), [row])
    common = {"artifact": NAME, "runtime": "torch"}
    classes = [
        {**common, "class_index": at, "class": name, **{key: float(getattr(scores, key)[at]) for key in MEASURES}}
        for at, name in enumerate(spec.classes)
    ]
    classes.append({**common, "class": MEAN, **{key: float(getattr(scores, each)) for key, each in MEASURES.items()}})
    write_rows(tmp_path / "per_class.csv", CLASS_COLUMNS, classes)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/confusion.json").write_text(json.dumps({"counts": {NAME: COUNTS.tolist()}}))
    return tmp_path


def change(path, at, **values):
    rows = read_table(path)
    rows[at] |= values
    write_rows(path, tuple(rows[0]), rows)


def test_honest_tables_hold(run):
    assert list(table_problems(run)) == []


@pytest.mark.parametrize("name", [*ACCURACY, "size_bytes", "sparsity", "max_unique_weights"])
def test_a_better_number_is_found(name, run):
    change(run / "scores.csv", 0, **{name: "0.99"})
    ((table, problem),) = table_problems(run)
    assert (table, problem.split(", and")[0]) == ("scores.csv", f"{NAME}: it says {name} 0.99")


def test_a_better_class_is_found_and_so_is_one_that_never_occurred(run):
    change(run / "per_class.csv", 1, iou="0.99")
    change(run / "per_class.csv", 2, dice="1.0")
    change(run / "per_class.csv", 3, recall="0.99")
    problems = [problem for _, problem in table_problems(run)]
    assert [each.split(":")[0] for each in problems] == [f"{NAME}, {name}" for name in ("road", "car", "mean")]
    assert problems[0].endswith("it says iou 0.99, and it is 0.727273")


def test_the_scores_of_another_file_are_found(run):
    change(run / "scores.csv", 0, sha256="0" * 64)
    ((_, problem),) = table_problems(run)
    assert problem == f"{NAME}: the file is not the one that was scored (its SHA-256 differs); score the run again"


def test_a_run_without_the_matrices_says_so(run):
    (run / "figures/confusion.json").unlink()
    ((_, problem),) = table_problems(run)
    assert problem == "figures/confusion.json is missing, from which its numbers follow; score the run again"


def test_a_file_that_could_not_be_scored_and_one_that_is_gone_are_no_faults(run):
    change(run / "scores.csv", 0, error="it crashed", miou="")
    assert list(table_problems(run)) == []
    change(run / "scores.csv", 0, error="", artifact="gone.onnx")
    (run / "figures/confusion.json").write_text(json.dumps({"counts": {"gone.onnx (torch)": COUNTS.tolist()}}))
    assert [problem for _, problem in table_problems(run) if "mIoU" in problem or "miou" in problem] == [
        "gone.onnx: it says no miou, and it is 0.738636"
    ]
