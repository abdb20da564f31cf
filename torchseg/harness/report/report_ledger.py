"""The ledger in a report: what compression left in every network and file, the totals first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from torchseg.harness.format import counted, percent, short_name
from torchseg.harness.report.report_values import wide
from torchseg.harness.report.run_record import Row, number
from torchseg.harness.report.tables import plain_table

_TOTAL = "total"
_WHOLE = ("parameters", "channels", "zeros", "unique_values", "unique_per_channel", "nan", "subnormal", "multiply_adds")


def ledger_section(rows: Sequence[Row]) -> str:
    """The `total` row of each network and file, and all tensors to open; everything as it is without such rows."""
    totals = [row for row in rows if row.get("tensor") == _TOTAL]
    if not totals:
        return plain_table(rows)
    columns = [name for name in totals[0] if name != "tensor"]
    heads = "".join(f'<th scope="col">{escape(name.replace("_", " "))}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(_cell(row, name) for name in columns)}</tr>" for row in totals)
    tensors = [row for row in rows if row.get("tensor") != _TOTAL]
    rest = (
        f"<details><summary>{counted(len(tensors), 'tensor')} one by one</summary>{plain_table(tensors)}</details>"
        if tensors
        else ""
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return wide(table, label="Ledger") + rest


def _cell(row: Row, column: str) -> str:
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
