"""Tables that scroll, and nested values as one of two columns, for certificates and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any


def wide(table: str, *, label: str) -> str:
    """A table in a box that scrolls sideways, by keyboard as well; `label` is what a screen reader says."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">{table}</div>'


def value_table(values: Mapping[str, Any], *, label: str) -> str:
    """One row per value; the keys on the way to it are joined by dots."""
    rows = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>' for key, value in _flat(values, "")
    )
    return wide(f"<table><tbody>{rows}</tbody></table>", label=label)


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
