from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchseg.harness.latency import LatencyConfig
from torchseg.harness.runtime import open_runtime
from torchseg.harness.score import Artifact, score_artifacts
from torchseg.harness.score_tables import SCORE_COLUMNS
from torchseg.harness.table import read_table
from torchseg.metrics import confusion_matrix, overlap

QUICK = LatencyConfig(rounds=2, repeats=2, warmup=1, max_rounds=2)
CONTRACT = [
    "artifact", "stage", "format", "precision", "runtime", "runtime_version", "threads", "size_bytes", "gzip_bytes",
    "miou", "mean_dice", "pixel_accuracy", "mean_precision", "mean_recall", "latency_ms_median", "latency_ms_min",
    "latency_ms_p90", "load_ms", "peak_rss_mb", "argmax_agreement", "sparsity", "max_unique_weights", "certified",
]  # fmt: skip


@pytest.fixture(scope="module")
def scored(checkpoint, onnx_file, random_samples, spec):
    """A checkpoint, its export and a damaged file, scored on ten pictures: run folder, samples and failures."""
    out = checkpoint.parent
    damaged = out / "damaged.onnx"
    damaged.write_bytes(b"nothing of use")
    exported = {"stage": "student", "format": "onnx", "precision": "fp32", "reference": checkpoint}
    artifacts = [
        Artifact(path=checkpoint, stage="student", format="torch", precision="fp32"),
        Artifact(path=onnx_file, certified=True, **exported),
        Artifact(path=damaged, certified=False, **exported),
    ]
    samples = random_samples(10)
    return out, samples, score_artifacts(artifacts, samples, spec, out, config=QUICK)


def test_the_contracts_columns_come_first():
    assert list(SCORE_COLUMNS[: len(CONTRACT)]) == CONTRACT


def test_accuracy_is_that_of_one_confusion_matrix_over_all_pictures(scored, checkpoint, spec):
    out, samples, _ = scored
    runtime = open_runtime(checkpoint)
    counts = sum(
        confusion_matrix(runtime.predict(spec.prepare(s.picture[None]))[0].argmax(axis=0), s.mask, num_classes=3)
        for s in samples
    )
    expected = overlap(counts)
    for row in read_table(out / "scores.csv")[:2]:
        for name in ("miou", "mean_dice", "pixel_accuracy", "mean_precision", "mean_recall"):
            assert float(row[name]) == pytest.approx(getattr(expected, name), abs=1e-6)
    rows = [row for row in read_table(out / "per_class.csv") if row["artifact"] == "student.fp32.onnx"]
    assert [row["class"] for row in rows] == list(spec.classes)
    assert [float(row["iou"]) for row in rows] == pytest.approx(list(expected.iou), abs=1e-6)
    assert sum(int(row["pixels"]) for row in rows) == counts.sum()


def test_every_row_carries_its_conditions(scored):
    out, _, _ = scored
    torch_row, onnx_row, _ = read_table(out / "scores.csv")
    assert [torch_row["artifact"], onnx_row["artifact"]] == ["student/model.safetensors", "student.fp32.onnx"]
    assert [torch_row["runtime"], onnx_row["runtime"]] == ["torch", "onnxruntime"]
    assert (onnx_row["certified"], torch_row["certified"]) == ("true", "")
    for row in (torch_row, onnx_row):
        assert (row["image_size"], row["batch"], row["rounds"], row["repeats"]) == ("16x24", "1", "2", "2")
        assert 0 < float(row["latency_ms_min"]) <= float(row["latency_ms_median"]) <= float(row["latency_ms_p90"])
        assert int(row["gzip_bytes"]) < int(row["size_bytes"])
        assert float(row["argmax_agreement"]) == 1.0
        assert len(row["sha256"]) == 64
        assert row["host"]
        assert float(row["peak_rss_mb"]) > 1


def test_one_failing_file_is_a_row_with_its_reason_and_stops_nothing(scored):
    out, _, failures = scored
    assert [failure.artifact.path.name for failure in failures] == ["damaged.onnx"]
    assert "is no ONNX file" in failures[0].reason
    row = read_table(out / "scores.csv")[2]
    assert (row["artifact"], row["miou"], row["latency_ms_median"]) == ("damaged.onnx", "", "")
    assert row["certified"] == "false"
    assert "is no ONNX file" in row["error"]


def test_every_picture_has_a_row_per_file(scored):
    out, samples, _ = scored
    rows = read_table(out / "per_image.csv")
    assert len(rows) == 2 * len(samples)
    assert {row["image"] for row in rows} == {sample.name for sample in samples}
    assert all(0 <= float(row["miou"]) <= 1 for row in rows)


def test_the_gallery_holds_pictures_truth_and_every_files_labels(scored, spec, checkpoint):
    out, samples, _ = scored
    index = json.loads((out / "figures/gallery.json").read_text())
    assert index["classes"] == list(spec.classes)
    assert index["leader"] == "student/model.safetensors"
    assert [entry["rank"] for entry in index["samples"]] == ["best"] * 2 + ["median"] * 2 + ["worst"] * 2
    by_name = {sample.name: sample for sample in samples}
    runtime = open_runtime(checkpoint)
    for entry in index["samples"]:
        sample = by_name[entry["name"]]
        np.testing.assert_array_equal(np.asarray(Image.open(out / entry["picture"])), sample.picture)
        np.testing.assert_array_equal(np.asarray(Image.open(out / entry["truth"])), sample.mask)
        labels = runtime.predict(spec.prepare(sample.picture[None]))[0].argmax(axis=0)
        for path in entry["labels"].values():
            np.testing.assert_array_equal(np.asarray(Image.open(out / path)), labels)


def test_a_file_is_held_against_a_checkpoint_that_is_not_scored_itself(
    onnx_file, checkpoint, random_samples, spec, tmp_path
):
    alone = Artifact(path=onnx_file, stage="student", format="onnx", precision="fp32", reference=checkpoint)
    assert score_artifacts([alone], random_samples(3), spec, tmp_path, config=QUICK) == []
    (row,) = read_table(tmp_path / "scores.csv")
    assert float(row["argmax_agreement"]) == 1.0
    assert row["artifact"] == "student.fp32.onnx"


def test_a_reference_that_is_gone_leaves_agreement_empty(onnx_file, random_samples, spec, tmp_path):
    gone = Artifact(path=onnx_file, stage="s", format="onnx", precision="fp32", reference=Path("gone"))
    assert score_artifacts([gone], random_samples(2), spec, tmp_path, config=QUICK) == []
    assert read_table(tmp_path / "scores.csv")[0]["argmax_agreement"] == ""


def test_nothing_to_score_is_refused(spec, tmp_path):
    with pytest.raises(ValueError, match="there are 0 files and 0 pictures to score"):
        score_artifacts([], [], spec, tmp_path, config=QUICK)
