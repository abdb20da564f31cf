from __future__ import annotations

import pytest

from torchseg.harness.csv_table import write_rows
from torchseg.harness.report.recommendation.card import answer_card
from torchseg.harness.report.recommendation.recommend import recommend
from torchseg.harness.report.run_record import read_run
from torchseg.harness.scoring.columns import SCORE_COLUMNS


@pytest.mark.parametrize(
    ("certified", "fact"),
    [
        ("true", '<b class="good">certificate holds</b>'),
        ("few images", '<b class="good">certificate holds</b>'),
        ("", '<b class="bad">no certificate</b>'),
    ],
)
def test_the_card_says_whether_the_certificate_holds(certified, fact, row, student, tmp_path):
    scores = [student, row("a.onnx", "onnx", "0.70", "10", "1", runtime="onnxruntime", certified=certified)]
    write_rows(tmp_path / "scores.csv", SCORE_COLUMNS, scores)
    assert fact in answer_card(read_run(tmp_path), recommend(scores))


def test_the_card_says_that_a_speed_up_is_rough(row, student, tmp_path):
    for noisy, said in (("true", True), ("false", False)):
        scores = [student, row("a.onnx", "onnx", "0.70", "10", "1", runtime="onnxruntime", noisy=noisy)]
        write_rows(tmp_path / "scores.csv", SCORE_COLUMNS, scores)
        shown = answer_card(read_run(tmp_path), recommend(scores))
        assert ("rough: something else used the machine while a.onnx ran" in shown.replace("\u00a0", " ")) is said
