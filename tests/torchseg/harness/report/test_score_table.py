from __future__ import annotations

import pytest

from torchseg.harness.report.recommendation.recommend import recommend
from torchseg.harness.report.score_table import score_table, usefulness


@pytest.fixture
def rows(row, teacher, student):
    return [
        student,
        row("plain.onnx", "onnx", "0.70001", "1000", "20"),
        row("packed.onnx", "onnx", "0.7", "100", "20.5"),
        row("int8.onnx", "onnx", "0.6952", "250", "10"),
        row("slow.onnx", "onnx", "0.69521", "251", "10.1"),
        teacher,
    ]


def names(several):
    return [each["artifact"] for each in several]


def test_the_recommended_file_comes_first_and_repetitions_are_folded(rows):
    found = recommend(rows)
    shown, folded = usefulness(rows, found)
    assert names(shown) == ["int8.onnx", "teacher", "packed.onnx", "student"]
    assert names(folded) == ["plain.onnx", "slow.onnx"]
    table = score_table(rows, found)
    assert "2 files with the accuracy of one above" in table
    assert table.count("class=chosen") == 1


def test_a_smaller_or_a_faster_file_is_never_folded(rows, row):
    small = row("small.onnx", "onnx", "0.6952", "200", "11")
    shown, _ = usefulness([*rows, small], recommend([*rows, small]))
    assert "small.onnx" in names(shown)


def test_files_that_failed_come_last(rows, row):
    bad = row("bad.onnx", "onnx", "", "", "") | {"error": "is damaged"}
    shown, folded = usefulness([bad, *rows], recommend(rows))
    assert names(shown)[-1] == "bad.onnx"
    assert "bad.onnx" not in names(folded)


@pytest.mark.parametrize(
    ("said", "badge"),
    [
        ("true", '<span class="badge good">holds</span>'),
        ("false", '<span class="badge bad">fails</span>'),
        ("few images", '<span class="badge ">few images</span>'),
    ],
)
def test_a_certificate_is_shown_with_what_it_says(rows, row, said, badge):
    assert badge in score_table([*rows, row("own.onnx", "onnx", "0.71", "90", "9") | {"certified": said}], None)
