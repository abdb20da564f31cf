from __future__ import annotations

from types import SimpleNamespace

import pytest

from torchseg.harness.report.tables import certificate_list, verdict


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        ({"verdict": {"passed": True, "failures": []}}, True),
        ({"verdict": {"passed": False, "failures": ["argmax agreement is 0.91"]}}, False),
        ({"sha256": "ab"}, None),
    ],
)
def test_a_certificate_without_a_verdict_is_neither_good_nor_bad(certificate, expected):
    assert verdict(certificate) is expected


def test_certificates_of_files_that_are_in_no_table_come_last_and_say_so():
    certificate = {"verdict": {"passed": True}}
    names = ("a.fp32.tflite", "a.int8.failed.onnx", "b.fp32.onnx")
    run = SimpleNamespace(
        scores=[{"artifact": "artifacts/b.fp32.onnx"}], certificates=dict.fromkeys(names, certificate)
    )
    shown = certificate_list(run)
    places = [shown.index(text) for text in ("a.int8.failed.onnx", "b.fp32.onnx", "Not in the tables", "a.fp32.tflite")]
    assert places == sorted(places)
    run.scores.append({"artifact": "artifacts/a.fp32.tflite"})
    assert "Not in the tables" not in certificate_list(run)
    assert certificate_list(SimpleNamespace(scores=[], certificates={})) == ""
