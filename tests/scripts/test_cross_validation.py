"""The whole chain once per fold, in miniature."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from scripts import distill, train
from torchseg.harness.csv_table import read_table
from torchseg.record import read_json


@pytest.fixture
def folds(flags):
    return [*flags, "--teacher", "null", "--folds", "3", "--out", "cv"]


@pytest.mark.slow
def test_three_folds_are_three_runs_and_one_table(folds, capsys):
    assert distill.main(folds) == 0
    printed = capsys.readouterr().out.split("Over 3 folds, each image in the test split once")[1].splitlines()
    assert printed[1].split()[:3] == ["IoU,", "%", "student"]
    assert any(line.startswith("mean") and "±" in line for line in printed)
    rows = {row["class"]: row for row in read_table(Path("cv/folds.csv")) if row["artifact"].startswith("student/")}
    assert rows.keys() == {"ground", "striped", "checked", "wire", "ring", "mean"}
    assert rows["mean"]["folds"] == "3"
    tested = Counter(row["image"] for row in read_table(Path("cv/splits.csv")))
    assert tested == {f"p{number}": 1 for number in range(30)}
    assert "fold: 2/3" in Path("cv/fold2/config.yaml").read_text()

    before = Path("cv/fold1/student/model.safetensors").stat().st_mtime_ns
    assert distill.main(folds) == 0
    assert capsys.readouterr().out.count("Nothing to do") == 3
    assert Path("cv/fold1/student/model.safetensors").stat().st_mtime_ns == before
    names = [read_json(Path(f"cv/fold{at}/data.json"), remedy="")["validation"]["names"] for at in (1, 2, 3)]
    assert sorted(chain.from_iterable(names)) == sorted(tested)


@pytest.mark.slow
def test_a_network_trained_with_labels_is_tested_on_every_fold_as_well(drawn_pictures, capsys):
    flags = ["--data", "folder", "--root", str(drawn_pictures), "--image_size", "32", "--model", "small_unet"]
    flags += ["--model_arguments", "base_width=2,depth=1", "--epochs", "1", "--batch_size", "8", "--workers", "0"]
    assert train.main([*flags, "--threads", "1", "--folds", "3", "--out", "cv"]) == 0
    printed = capsys.readouterr().out.split("Over 3 folds, each image in the test split once")[1].splitlines()
    assert printed[1].split() == ["IoU,", "%", "trained"]
    rows = [row for row in read_table(Path("cv/folds.csv")) if row["class"] == "mean"]
    assert [(row["artifact"], row["folds"]) for row in rows] == [("trained/model.safetensors", "3")]
    assert len(read_table(Path("cv/splits.csv"))) == 30
    assert train.main([*flags, "--folds", "3", "--fold", "1/3"]) == 2


def test_folds_that_cannot_be_are_refused(flags, refusal, tmp_path):
    assert distill.main([*flags, "--folds", "2"]) == 2
    assert "folds asks for 2 folds; give 3 to 20, e.g. 5" in refusal()
    assert distill.main([*flags, "--folds", "5", "--fold", "1/5"]) == 2
    assert "fold is 1/5, which is one of the folds that folds 5 runs: drop one" in refusal()
    limits = ["--student", "auto", "--student_arguments", "", "--max_size_kb", "100"]
    assert distill.main([*flags, *limits, "--folds", "5"]) == 2
    assert "choose by `students`, and name it" in refusal()
    (tmp_path / "single" / ".stages").mkdir(parents=True)
    assert distill.main([*flags, "--folds", "5", "--out", str(tmp_path / "single")]) == 2
    assert "is the folder of a single run; give a new folder for 5 folds" in refusal()
