"""Certificates of a run as badges that open to their details."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from torchseg.harness.report.report_values import value_table
from torchseg.harness.report.run_record import RunRecord


def certificate_list(run: RunRecord) -> str:
    """One badge per certificate; empty if there is none."""
    if not run.certificates:
        return ""
    items = "".join(_badge(name, values) for name, values in run.certificates.items() if values)
    return f'<div class="certificates">{items}</div>'


def verdict(certificate: Mapping[str, Any]) -> bool | None:
    """Whether a certificate says that its file holds; None if it does not say."""
    judged = certificate.get("verdict", {})
    return bool(judged["passed"]) if "passed" in judged else None


def _badge(name: str, values: Mapping[str, Any]) -> str:
    good = verdict(values)
    kind, text = ("", "no verdict") if good is None else ("good", "holds") if good else ("bad", "fails")
    return (
        f'<details><summary><span class="badge {kind}">{text}</span> {escape(name)}</summary>'
        f"{value_table(values, label=name)}</details>"
    )
