from __future__ import annotations

import pytest

from torchseg.harness.report_certificates import verdict


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        ({"verdict": {"passed": True, "failures": []}}, True),
        ({"verdict": {"passed": False, "failures": ["argmax agreement is 0.91"]}}, False),
        ({"verdict": "pass"}, True),
        ({"verdict": True}, True),
        ({"verdict": "fail"}, False),
        ({"passed": False}, False),
        ({"sha256": "ab"}, None),
    ],
)
def test_the_verdict_is_found_under_its_usual_names(certificate, expected):
    assert verdict(certificate) is expected
