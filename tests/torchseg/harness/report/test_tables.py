from __future__ import annotations

import pytest

from torchseg.harness.report.tables import verdict


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
