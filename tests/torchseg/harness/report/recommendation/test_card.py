from __future__ import annotations

from dataclasses import replace

import pytest

from torchseg.harness.report.recommendation.card import answer_card
from torchseg.harness.report.recommendation.recommend import recommend
from torchseg.harness.report.run_record import read_run


@pytest.mark.parametrize(
    ("certified", "fact"),
    [
        ("true", '<b class="good">certificate holds</b>'),
        ("too few to say", '<b class="good">certificate holds</b>'),
        ("", '<b class="bad">no certificate</b>'),
    ],
)
def test_the_card_says_whether_the_certificate_holds(certified, fact, row, student, tmp_path):
    scores = [student, row("a.onnx", "onnx", "0.70", "10", "1", runtime="onnxruntime", certified=certified)]
    assert fact in answer_card(replace(read_run(tmp_path), scores=scores), recommend(scores))
