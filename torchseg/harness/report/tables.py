"""Further tables of a report: ledger, certificates, and any nested values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from torchseg.harness.format import percent, short_name
from torchseg.harness.report.run_record import Row, RunRecord, number
from torchseg.plural import counted

_TOTAL = "total"
_WHOLE = ("parameters", "channels", "zeros", "unique_values", "unique_per_channel", "nan", "subnormal", "multiply_adds")


def plain_table(rows: Sequence[Row]) -> str:
    """The rows of any CSV file, unchanged."""
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in row.values())}</tr>" for row in rows)
    return wide(f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>", label="Ledger")


def ledger_section(rows: Sequence[Row]) -> str:
    """The `total` row of each network and file, with all tensors folded below; the plain table if there are none."""
    totals = [row for row in rows if row.get("tensor") == _TOTAL]
    if not totals:
        return plain_table(rows)
    columns = [name for name in totals[0] if name != "tensor"]
    heads = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(_ledger_cell(row, name) for name in columns)}</tr>" for row in totals)
    tensors = [row for row in rows if row.get("tensor") != _TOTAL]
    rest = (
        f"<details><summary>{counted(len(tensors), 'tensor')} one by one</summary>{plain_table(tensors)}</details>"
        if tensors
        else ""
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return wide(table, label="Ledger") + rest


def _ledger_cell(row: Row, column: str) -> str:
    value = number(row, column)
    if column == "stage":
        return f'<th scope="row">{escape(row[column])}</th>'
    if column == "sparsity":
        return f'<td class="number">{percent(value)}</td>'
    if column in _WHOLE and value is not None:
        bad = ' bad"' if column == "nan" and value else '"'
        return f'<td class="number{bad}>{value:,.0f}</td>'
    text = row.get(column, "")
    return f"<td>{escape(short_name(text) if column == 'artifact' else text)}</td>"


def certificate_list(run: RunRecord) -> str:
    """One badge per certificate, with its values folded below; empty if there are no certificates.

    Those of files that are in no table, because they were made with other flags than the last, come last and say so;
    a file that failed its certificate is never scored.
    """
    scored = {short_name(row["artifact"]) for row in run.scores}
    known = {name: values for name, values in run.certificates.items() if values}
    others = [name for name in known if name not in scored and ".failed." not in name]
    items = [_badge(name, known[name]) for name in known if name not in others]
    if others:
        items += ["<p>Not in the tables, because the last flags of the run did not ask for them:</p>"]
        items += [_badge(name, known[name]) for name in others]
    return f'<div class="certificates">{"".join(items)}</div>' if run.certificates else ""


def verdict(certificate: Mapping[str, Any]) -> bool | None:
    """Whether a certificate passed; None if it has no verdict."""
    judged = certificate.get("verdict", {})
    return bool(judged["passed"]) if "passed" in judged else None


def _badge(name: str, values: Mapping[str, Any]) -> str:
    good = verdict(values)
    kind, text = ("", "no verdict") if good is None else ("good", "holds") if good else ("bad", "fails")
    return (
        f'<details><summary><span class="badge {kind}">{text}</span> {escape(name)}</summary>'
        f"{value_table(values, label=name)}</details>"
    )


def wide(table: str, *, label: str) -> str:
    """A table in a box that scrolls sideways by mouse and keyboard; a screen reader reads `label`."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">{table}</div>'


def value_table(values: Mapping[str, Any], *, label: str) -> str:
    """One row per value; nested keys are joined by dots."""
    rows = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(value)}</td></tr>' for key, value in _flat(values, "")
    )
    return wide(f"<table><tbody>{rows}</tbody></table>", label=label)


def _flat(values: object, prefix: str) -> list[tuple[str, str]]:
    """Nested values as `(outer.inner, text)` pairs; a list of plain values is one pair."""
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
