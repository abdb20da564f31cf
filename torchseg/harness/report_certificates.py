"""Certificates of a run as badges that open to their details."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from torchseg.harness.run_record import RunRecord

_VERDICT_KEYS = ("verdict", "passed", "holds", "certified")
_GOOD = {"true", "pass", "passed", "holds", "ok", "certified", "good"}


def certificate_list(run: RunRecord) -> str:
    """One badge per certificate; empty if there is none."""
    if not run.certificates:
        return ""
    items = "".join(_badge(name, values) for name, values in run.certificates.items() if values)
    return f'<div class="certificates">{items}</div>'


def verdict(certificate: Mapping[str, Any]) -> bool | None:
    """Whether a certificate says that its file holds; None if it does not say."""
    for key in _VERDICT_KEYS:
        if isinstance(certificate.get(key), Mapping):
            return verdict(certificate[key])
        if key in certificate:
            return str(certificate[key]).strip().lower() in _GOOD
    return None


def _badge(name: str, values: Mapping[str, Any]) -> str:
    good = verdict(values)
    kind, text = ("", "no verdict") if good is None else ("good", "holds") if good else ("bad", "fails")
    rows = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>' for key, value in _flat(values, "")
    )
    return (
        f'<details><summary><span class="badge {kind}">{text}</span> {escape(name)}</summary>'
        f'<div class="wide"><table><tbody>{rows}</tbody></table></div></details>'
    )


def _flat(values: object, prefix: str) -> list[tuple[str, str]]:
    """Nested values as `outer.inner` lines; short lists on one line."""
    if isinstance(values, Mapping):
        return [
            line for key, value in values.items() for line in _flat(value, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(values, list) and any(isinstance(value, Mapping | list) for value in values):
        return [line for at, value in enumerate(values) for line in _flat(value, f"{prefix}[{at}]")]
    if isinstance(values, list):
        return [(prefix, ", ".join(_scalar(value) for value in values))]
    return [(prefix, _scalar(values))]


def _scalar(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)
