from __future__ import annotations

import pytest

from torchseg.harness.format import bytes_text, milliseconds, percent, short_name, unbroken, with_counts


def test_what_is_not_known_is_empty():
    assert percent(None) == bytes_text(None) == milliseconds(None) == ""


@pytest.mark.parametrize(("count", "text"), [(512, "0.5 kB"), (489_920, "489.9 kB"), (1_831_580, "1.83 MB")])
def test_bytes_read_as_on_a_disks_label(count, text):
    assert bytes_text(count) == text


@pytest.mark.parametrize(("value", "text"), [(6.367, "6.37 ms"), (22.9, "22.9 ms"), (132.18, "132 ms")])
def test_milliseconds_have_three_digits(value, text):
    assert milliseconds(value) == text


def test_shares_are_percent():
    assert percent(0.99717, digits=3) == "99.717 %"


def test_a_checkpoint_is_called_by_its_stage_and_a_file_by_its_name():
    assert short_name("student/model.safetensors") == "student"
    assert short_name("artifacts/student.int8.tflite") == "student.int8.tflite"


def test_equal_words_are_counted():
    assert with_counts(["CONV_2D", "CUMSUM", "CONV_2D"]) == "2 x CONV_2D, CUMSUM"
    assert with_counts([]) == ""


def test_no_line_breaks_between_a_number_and_its_unit():
    assert (
        unbroken("student 95.9 %, 3 points in 5 ms of 7 tries")
        == "student 95.9\u00a0%, 3\u00a0points in 5\u00a0ms of 7 tries"
    )
