from __future__ import annotations

from torchseg.harness.report.recommend import recommend


def row(name: str, kind: str, miou: str, size: str, latency: str, **more: str) -> dict[str, str]:
    cells = {"artifact": name, "stage": "student", "format": kind, "miou": miou, "certified": ""}
    return cells | {"size_bytes": size, "latency_ms_min": latency} | more


STUDENT = row("student", "torch", "0.70", "1000", "50")


def test_the_smallest_and_the_fastest_file_within_the_budget_are_picked():
    rows = [
        STUDENT,
        row("exact", "onnx", "0.70", "1000", "20"),
        row("small", "tflite", "0.695", "250", "15"),
        row("fast", "onnx", "0.691", "300", "9"),
        row("too-poor", "tflite", "0.68", "100", "5"),
    ]
    chosen = recommend(rows)
    assert chosen is not None
    assert (chosen.baseline["artifact"], chosen.smallest["artifact"], chosen.fastest["artifact"]) == (
        "student", "small", "fast"
    )  # fmt: skip


def test_a_file_whose_certificate_fails_is_never_picked():
    assert recommend([STUDENT, row("wrong", "onnx", "0.7", "1", "1", certified="false")]) is None


def test_a_file_that_was_not_scored_is_never_picked():
    assert recommend([STUDENT, row("broken", "onnx", "", "1", "")]) is None


def test_without_a_checkpoint_the_best_file_is_the_baseline():
    chosen = recommend([row("a", "onnx", "0.6", "1", "1"), row("b", "onnx", "0.7", "2", "2")])
    assert chosen is not None
    assert chosen.baseline["artifact"] == chosen.smallest["artifact"] == "b"
