from __future__ import annotations

import json
import statistics

import pytest

from torchseg.harness.csv_table import read_table, write_rows
from torchseg.pipeline.run.dataset import SPLITS
from torchseg.pipeline.run.folds import SPLIT_TABLE, TABLE, fold_lines, write_folds

STUDENT, FILE = "student/model.safetensors", "artifacts/student.int8.onnx"
COLUMNS = ("artifact", "runtime", "class_index", "class", "pixels", "iou", "dice", "precision", "recall")


def write_run(folder, shares, *, names, pixels=1000):
    """A fold whose student has these IoU of road and sky, and whose file has half of them."""
    folder.mkdir()
    rows = []
    for artifact, factor in ((STUDENT, 1.0), (FILE, 0.5)):
        known = [share for share in shares if share is not None]
        for index, (name, share) in enumerate(zip(("road", "sky"), shares, strict=True)):
            iou = None if share is None else factor * share
            rows.append(
                {
                    "artifact": artifact,
                    "runtime": "any",
                    "class_index": index,
                    "class": name,
                    "pixels": pixels,
                    "iou": iou,
                }
            )
        rows.append({"artifact": artifact, "runtime": "any", "class": "mean", "iou": factor * statistics.fmean(known)})
    write_rows(folder / "per_class.csv", COLUMNS, rows)
    (folder / "data.json").write_text(json.dumps({split: {} for split in SPLITS} | {"test": {"names": names}}))
    return folder


@pytest.fixture
def runs(tmp_path):
    shares = [(0.4, 0.8), (0.6, None), (0.5, 0.6)]
    return [write_run(tmp_path / f"fold{at}", each, names=[f"p{at}"]) for at, each in enumerate(shares, start=1)]


def test_mean_and_spread_are_over_the_folds_that_show_the_class(runs, tmp_path):
    write_folds(tmp_path, runs)
    road, sky, mean = (row for row in read_table(tmp_path / TABLE) if row["artifact"] == STUDENT)
    assert [float(road[f"iou_{each}"]) for each in ("mean", "std", "lowest", "highest")] == [0.5, 0.1, 0.4, 0.6]
    assert (float(sky["iou_mean"]), sky["folds"]) == (pytest.approx(0.7), "2")
    assert float(mean["iou_mean"]) == pytest.approx(statistics.fmean([0.6, 0.6, 0.55]), abs=1e-6)
    assert road["dice_mean"] == ""


def test_the_table_has_a_row_per_class_and_a_column_per_file(runs, tmp_path):
    rows = write_folds(tmp_path, runs)
    assert fold_lines(rows, [STUDENT, FILE], folds=3) == [
        "IoU, %  student                student.int8.onnx",
        "road    50.0 ± 10.0            25.0 ± 5.0",
        "sky     70.0 ± 14.1 (2 folds)  35.0 ± 7.1 (2 folds)",
        "mean    58.3 ± 2.9             29.2 ± 1.4",
    ]


def test_a_mean_over_a_class_that_all_folds_together_hardly_show_is_marked(tmp_path):
    runs = [write_run(tmp_path / f"fold{at}", (0.5, 0.5), names=[], pixels=300) for at in (1, 2, 3)]
    lines = fold_lines(write_folds(tmp_path, runs), [STUDENT], folds=3)
    assert lines[-2] == "mean *  50.0 ± 0.0"
    assert lines[-1] == "* road 900 pixels, sky 900 pixels: fewer than 1,000 in the test images"
    assert read_table(tmp_path / TABLE)[0]["pixels"] == "900"


def test_the_splits_say_in_which_fold_an_image_was_tested(runs, tmp_path):
    write_folds(tmp_path, runs)
    assert read_table(tmp_path / SPLIT_TABLE) == [{"image": f"p{at}", "test_fold": str(at)} for at in (1, 2, 3)]
