from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchseg.harness.csv_table import read_table
from torchseg.harness.postprocess import labels_of, resize_logits
from torchseg.harness.preprocess import prepare
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.harness.scoring.columns import SCORE_COLUMNS
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.harness.scoring.score import Artifact, score_artifacts
from torchseg.metrics import confusion_matrix, overlap
from torchseg.spec import ImageSpec

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
    assert [row["class"] for row in rows] == [*spec.classes, "mean"]
    assert [float(row["iou"]) for row in rows] == pytest.approx([*expected.iou, expected.miou], abs=1e-6)
    assert float(rows[-1]["precision"]) == pytest.approx(expected.mean_precision, abs=1e-6)
    assert sum(int(row["pixels"]) for row in rows[:-1]) == int(rows[-1]["pixels"]) == counts.sum()


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
    assert "is not an ONNX file" in failures[0].reason
    row = read_table(out / "scores.csv")[2]
    assert (row["artifact"], row["miou"], row["latency_ms_median"]) == ("damaged.onnx", "", "")
    assert row["certified"] == "false"
    assert "is not an ONNX file" in row["error"]


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


@pytest.fixture(scope="module")
def thread_pool(onnx_file, random_samples, spec, tmp_path_factory):
    """A file from elsewhere, a copy of the same name and the file at two threads, held against the first."""
    folder = tmp_path_factory.mktemp("side")
    (folder / "copy").mkdir()
    shutil.copy(onnx_file, folder / "copy")
    kind = {"stage": "mine", "format": "onnx", "precision": "fp32", "baseline": onnx_file, "runtime": "onnxruntime"}
    artifacts = [
        Artifact(path=onnx_file, threads=1, **kind),
        Artifact(path=folder / "copy" / onnx_file.name, threads=1, **kind),
        Artifact(path=onnx_file, threads=2, **kind),
        Artifact(path=onnx_file, threads=1, **{**kind, "runtime": "nonsense"}),
    ]
    failures = score_artifacts(artifacts, random_samples(4), spec, folder / "out", config=QUICK)
    return folder / "out", failures


def test_files_of_one_name_are_told_apart_everywhere(thread_pool):
    out, _ = thread_pool
    names = [row["artifact"] for row in read_table(out / "scores.csv")]
    assert names[1] == "copy/student.fp32.onnx"
    assert len({names[0], names[1]}) == 2
    index = json.loads((out / "figures/gallery.json").read_text())
    for entry in index["samples"]:
        assert len(entry["labels"]) == len(set(entry["labels"].values())) == 2  # the same at two threads
    confusion = json.loads((out / "figures/confusion.json").read_text())
    assert len(confusion["counts"]) == 3
    assert len(read_table(out / "per_image.csv")) == 2 * 4


def test_a_file_is_held_against_the_one_that_was_named(thread_pool):
    out, _ = thread_pool
    first, copy, more, _ = read_table(out / "scores.csv")
    assert (first["against"], first["speed"], first["accuracy"]) == ("", "", "")
    assert copy["against"].startswith(first["artifact"])
    assert copy["accuracy"] == "same"
    assert float(copy["miou_difference"]) == float(copy["miou_difference_low"]) == 0
    assert float(copy["latency_ratio"]) > 0
    assert more["threads"] == "2"
    assert more["miou"] == first["miou"]
    assert more["latency_ratio"] == ""  # times at other threads are another question


def test_an_unknown_runtime_is_a_row_that_names_the_known_ones(thread_pool):
    out, failures = thread_pool
    assert "choose from litert, onnxruntime" in failures[0].reason
    assert "nonsense" in read_table(out / "scores.csv")[3]["error"]


def test_what_a_file_costs_stands_beside_what_the_processor_can_do(scored):
    out, _, _ = scored
    torch_row, onnx_row, _ = read_table(out / "scores.csv")
    assert torch_row["multiply_adds"] == onnx_row["multiply_adds"]
    assert int(onnx_row["multiply_adds"]) > 1000
    assert 0 < float(onnx_row["peak_share"]) < 2
    assert 0 < int(onnx_row["zstd_bytes"]) < int(onnx_row["size_bytes"])


def test_precision_falls_against_recall_and_their_average_is_in_the_tables(scored, spec):
    out, _, _ = scored
    rows = [row for row in read_table(out / "precision_recall.csv") if row["artifact"] == "student.fp32.onnx"]
    assert {row["class"] for row in rows} == set(spec.classes)
    sky = [float(row["recall"]) for row in rows if row["class"] == "sky"]
    assert sky == sorted(sky)
    assert sky[-1] == 1
    averages = [row for row in read_table(out / "per_class.csv") if row["artifact"] == "student.fp32.onnx"]
    mean = np.mean([float(row["average_precision"]) for row in averages])
    assert float(read_table(out / "scores.csv")[1]["mean_average_precision"]) == pytest.approx(mean, abs=1e-5)


def test_a_file_of_another_size_and_scaling_sees_the_pictures_as_it_wants_them(checkpoint, random_samples, tmp_path):
    own = ImageSpec(height=8, width=12, classes=("sky", "road", "car"), mean=(0, 0, 0), std=(1, 1, 1))
    other = Artifact(path=checkpoint, stage="student", format="torch", precision="fp32", spec=own)
    data = ImageSpec(height=16, width=24, classes=own.classes)
    samples = random_samples(2)
    assert score_artifacts([other], samples, data, tmp_path, config=QUICK) == []
    (row,) = read_table(tmp_path / "scores.csv")
    assert row["image_size"] == "8x12"
    logits = open_runtime(checkpoint).predict(prepare(np.stack([each.picture for each in samples]), own))
    labels = labels_of(resize_logits(logits, height=16, width=24))
    counts = sum(confusion_matrix(a, s.mask, num_classes=3) for a, s in zip(labels, samples, strict=True))
    assert float(row["miou"]) == pytest.approx(overlap(counts).miou, abs=1e-6)


def test_nothing_to_score_is_refused(spec, tmp_path):
    with pytest.raises(ValueError, match="there are 0 files and 0 images to score"):
        score_artifacts([], [], spec, tmp_path, config=QUICK)
