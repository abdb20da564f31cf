from __future__ import annotations

import math

import pytest

from torchseg.harness.report.recommendation.recommend import TARGETS, recommend
from torchseg.modelfile.kinds import TARGET_FORMATS


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("phone", "student.int8.tflite"),
        ("server-cpu", "student.int8.onnx"),
        ("browser", "student.int8.packed.onnx"),
        ("smallest", "student.int8.packed.onnx"),
        (None, "student.int8.tflite"),
    ],
)
def test_each_target_gets_the_best_of_the_files_that_run_there(target, file, teacher, student, files):
    found = recommend([teacher, student, *files], target=target)
    assert found
    assert found.within
    assert (found.file["artifact"], found.reference["artifact"]) == (file, "teacher")


def test_without_tflite_files_the_target_is_a_server(teacher, student, files):
    found = recommend([teacher, student, *files[:3]])
    assert found
    assert found.target is TARGETS["server-cpu"]
    assert recommend([teacher, student, *files[:3]], target="phone") is None


def test_every_target_has_formats():
    assert TARGETS.keys() == TARGET_FORMATS.keys()


def test_the_parts_of_a_speed_up_multiply_to_the_whole(teacher, student, files):
    found = recommend([teacher, student, *files])
    assert found
    assert [(each.source, each.times) for each in found.factors] == [
        ("network", 10), ("runtime", 2), ("precision", 3.125)
    ]  # fmt: skip
    assert math.prod(each.times for each in found.factors) == pytest.approx(500 / 8)


def test_a_speed_up_is_not_split_when_a_row_is_missing(teacher, student, files):
    found = recommend([teacher, student, files[4]])
    assert found
    assert found.factors == []


def test_of_equally_fast_files_the_more_accurate_wins_and_of_equally_accurate_ones_the_smaller(row, student):
    a = row("a", "onnx", "0.699", "1000", "10.2")
    b = row("b", "onnx", "0.7", "900", "10.3")
    c = row("c", "onnx", "0.6935", "100", "10.0")
    found = recommend([student, a, b, c])
    assert found
    assert found.file["artifact"] == "b"
    assert {title: each["artifact"] for title, each in found.others.items()} == {"smallest": "c"}


def test_files_that_run_the_same_operations_are_equally_fast(row, student):
    pruned = student | {"artifact": "pruned/model.safetensors", "stage": "pruned"}
    wider = student | {"artifact": "wider/model.safetensors", "stage": "wider", "multiply_adds": "300"}
    networks = [student | {"multiply_adds": "100"}, pruned | {"multiply_adds": "100"}, wider]
    slow = {"latency_ms_min": "0.19", "latency_ms_median": "0.2"}
    by_chance = row("student.int8.onnx", "onnx", "0.695", "100", "0.15", stage="student")
    accurate = row("pruned.int8.onnx", "onnx", "0.8", "100", "0.19", stage="pruned")
    larger = row("wider.int8.onnx", "onnx", "0.9", "300", "0.19", stage="wider")
    found = recommend([*networks, by_chance, accurate | slow, larger | slow])
    assert found
    assert found.file["artifact"] == "pruned.int8.onnx"
    assert {title: each["artifact"] for title, each in found.others.items()} == {"most accurate": "wider.int8.onnx"}


def test_if_no_file_is_accurate_enough_the_most_accurate_is_named_as_such(row, student):
    found = recommend([student, row("a", "onnx", "0.6", "1", "1"), row("b", "onnx", "0.65", "2", "2")])
    assert found
    assert not found.within
    assert found.file["artifact"] == "b"


def test_only_the_smallest_number_of_threads_counts(row, student):
    one, two = (row("a", "onnx", "0.7", "1", time, threads=n) for n, time in (("1", "9"), ("2", "4")))
    found = recommend([student | {"threads": "1"}, two, one])
    assert found
    assert found.file is one


def test_a_file_whose_certificate_fails_is_never_picked(row, student):
    assert recommend([student, row("wrong", "onnx", "0.7", "1", "1", certified="false")]) is None


def test_a_file_that_was_not_scored_is_never_picked(row, student):
    assert recommend([student, row("broken", "onnx", "", "1", "")]) is None


def test_without_a_checkpoint_the_best_file_is_the_reference(row):
    found = recommend([row("a", "onnx", "0.6", "1", "1"), row("b", "onnx", "0.7", "2", "2")])
    assert found
    assert found.reference["artifact"] == found.file["artifact"] == "b"


def test_scores_of_another_split_recommend_no_file(student, files):
    assert recommend([row | {"split": "test"} for row in (student, *files)]) is not None
    assert recommend([row | {"split": "train"} for row in (student, *files)]) is None
