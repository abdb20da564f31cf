from __future__ import annotations

import pytest

from torchseg.harness.report.recommendation.findings import findings


def rows(**miou: float) -> list[dict[str, str]]:
    return [{"stage": stage, "format": "torch", "miou": str(value), "images": "100"} for stage, value in miou.items()]


def test_a_good_run_needs_no_words():
    assert findings(rows(teacher=0.8, student=0.7, baseline=0.6), {"train": {"pictures": 20}}) == []


def test_a_teacher_that_is_worse_than_its_student_is_named_with_what_to_try():
    (sentence,) = findings(rows(teacher=0.6, student=0.7), {})
    assert sentence.startswith("The teacher (60.00 % mean IoU) is worse than its student (70.00 %)")
    assert "--teacher_epochs" in sentence


@pytest.mark.parametrize("student", [0.6, 0.65, 0.6508])
def test_a_student_that_gained_nothing_over_its_baseline_is_named_with_what_to_try(student):
    (sentence,) = findings(rows(teacher=0.8, student=student, baseline=0.65), {})
    assert "gained nothing" in sentence
    assert "65.00 %" in sentence
    assert "--transfer_set" in sentence


def test_small_splits_are_named():
    (sentence,) = findings(
        rows(student=0.7), {"train": {"pictures": 19}, "validation": {"pictures": 1}, "transfer": {"pictures": 0}}
    )
    assert "(train 19 images, validation 1 image)" in sentence
    (sentence,) = findings([rows(student=0.7)[0] | {"images": "7"}], {})
    assert "(test 7 images)" in sentence


def test_a_mean_that_a_few_pixels_decide_is_named():
    pixels = {"road": 90000, "sky": 1000, "ring": 3, "wire": 812, "boat": 0}
    (sentence,) = findings(rows(student=0.7), {"test": {"pictures": 40, "class_pixels": pixels}})
    assert "also ring 3 pixels, wire 812 pixels: fewer than 1,000 in the test images" in sentence
    assert findings(rows(student=0.7), {"test": {"pictures": 40, "class_pixels": {"road": 1000}}}) == []
