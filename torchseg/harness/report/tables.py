"""The tables of a report: scores, classes, confusion matrices, ledger, certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from torchseg.harness.format import bytes_text, counted, milliseconds, percent, short_name, short_names
from torchseg.harness.report.run_record import Row, RunRecord, number

_TOTAL = "total"
_WHOLE = ("parameters", "channels", "zeros", "unique_values", "unique_per_channel", "nan", "subnormal", "multiply_adds")


@dataclass(frozen=True, kw_only=True)
class _Column:
    key: str
    title: str
    hint: str
    show: Callable[[float | None], str] | None = None  # None: text


_COLUMNS = (
    _Column(key="runtime", title="Runtime", hint="What ran the file"),
    _Column(key="miou", title="Mean IoU", hint="Mean over the classes that occur in the truth", show=percent),
    _Column(
        key="latency_ms_min",
        title="Latency, min",
        hint="Quickest prediction of one image at batch 1",
        show=milliseconds,
    ),
    _Column(key="size_bytes", title="Size", hint="Bytes on disk, external data included", show=bytes_text),
    _Column(
        key="latency_ratio",
        title="Time ratio",
        hint="Its time over that of its PyTorch model, or of the file named by --against, median over rounds",
        show=lambda value: "" if value is None else f"{value:.2f}",
    ),
    _Column(key="speed", title="Speed", hint="Against its PyTorch model; same: the difference is inside the noise"),
    _Column(
        key="accuracy",
        title="Accuracy",
        hint="Mean IoU against its PyTorch model; same: other images could turn the difference round",
    ),
    _Column(key="certified", title="Certificate", hint="Whether the file proved to compute what its model computes"),
    _Column(
        key="argmax_agreement",
        title="Agreement",
        hint="Share of pixels with the class that its PyTorch model gives",
        show=lambda value: percent(value, digits=3),
    ),
    _Column(key="gzip_bytes", title="Gzip", hint="Bytes after gzip -9: what a download costs", show=bytes_text),
    _Column(key="zstd_bytes", title="Zstd", hint="Bytes after zstd -19", show=bytes_text),
    _Column(
        key="latency_ms_median", title="Latency, median", hint="Half of the predictions were quicker", show=milliseconds
    ),
    _Column(key="latency_ms_p90", title="p90", hint="Nine of ten predictions were quicker", show=milliseconds),
    _Column(
        key="peak_share",
        title="Of peak",
        hint="Share of what this processor does at most with such numbers, measured in the same rounds",
        show=lambda value: percent(value, digits=0),
    ),
    _Column(
        key="multiply_adds",
        title="Work",
        hint="Million multiply-adds for one image",
        show=lambda value: "" if value is None else f"{value / 1e6:,.1f} M",
    ),
    _Column(key="load_ms", title="Load", hint="To open the file, the library's import left out", show=milliseconds),
    _Column(
        key="peak_rss_mb",
        title="Memory",
        hint="Peak resident memory above the empty process, library included",
        show=lambda value: "" if value is None else f"{value:.0f} MB",
    ),
    _Column(key="mean_dice", title="Mean Dice", hint="Dice = 2 IoU / (1 + IoU)", show=percent),
    _Column(key="pixel_accuracy", title="Pixels right", hint="Share of known pixels with the true class", show=percent),
    _Column(
        key="mean_average_precision",
        title="Average precision",
        hint="Area under precision against recall, mean over the classes that occur",
        show=percent,
    ),
    _Column(key="boundary_miou", title="Boundary IoU", hint="Mean IoU of the bands along the contours", show=percent),
    _Column(key="sparsity", title="Zeros", hint="Share of convolution weights that are zero", show=percent),
    _Column(
        key="max_unique_weights",
        title="Values",
        hint="Distinct values other than zero, at most, in one weight tensor",
        show=lambda value: "" if value is None else f"{value:,.0f}",
    ),
    _Column(key="stage", title="Stage", hint="What made the weights"),
    _Column(key="precision", title="Precision", hint="How the file stores its numbers"),
    _Column(
        key="threads",
        title="Threads",
        hint="That compute one prediction",
        show=lambda value: "" if value is None else f"{value:.0f}",
    ),
)


def score_table(rows: Sequence[Row]) -> str:
    """The rows of scores.csv as an HTML table; clicking a heading sorts by that column."""
    if not rows:
        return ""
    heads = '<th scope="col" aria-sort="none"><button type="button">File</button></th>' + "".join(
        f'<th scope="col" aria-sort="none"{" class=number" if column.show else ""} title="{escape(column.hint)}">'
        f'<button type="button">{column.title}</button></th>'
        for column in _COLUMNS
    )
    names = short_names(row["artifact"] for row in rows)
    body = "".join(
        f"<tr>{_name_cell(row, names[row['artifact']])}{''.join(_cell(row, column) for column in _COLUMNS)}</tr>"
        for row in rows
    )
    table = f'<table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
    return wide(table, label="Scores")


def class_table(run: RunRecord) -> str:
    """IoU of each class for each file, shaded by value; the cell of a class that never occurs is empty."""
    names = list(dict.fromkeys(row["class"] for row in run.classes))
    if not names:
        return ""
    files = short_names(row["artifact"] for row in run.classes)
    by_file: dict[str, dict[str, float | None]] = {}
    for row in run.classes:
        file = f"{files[row['artifact']]} ({row.get('runtime', '')})"
        by_file.setdefault(file, {})[row["class"]] = number(row, "iou")
    heads = '<th scope="col">File</th>' + _number_heads(names)
    body = "".join(
        f'<tr><th scope="row">{escape(file)}</th>{"".join(_shaded(shares.get(name)) for name in names)}</tr>'
        for file, shares in by_file.items()
    )
    return wide(f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>", label="IoU of every class")


def confusion_tables(run: RunRecord) -> str:
    """Confusion matrices: open for the file that leads the gallery, folded for every other file."""
    counts: Mapping[str, Any] = run.confusion.get("counts", {})
    if not counts:
        return ""
    leader = str(run.gallery.get("leader", ""))
    leader = leader if leader in counts else next(iter(counts))
    names = [str(name) for name in run.confusion.get("classes", [])]
    files = short_names(counts)
    others = "".join(
        f"<details><summary>{escape(files[file])}</summary>{_confusion(names, matrix)}</details>"
        for file, matrix in counts.items()
        if file != leader
    )
    rest = f"<details><summary>the other files</summary>{others}</details>" if others else ""
    return (
        f"<p>{escape(files[leader])}: each row shows where the pixels of one true class went.</p>"
        f"{_confusion(names, counts[leader])}{rest}"
    )


def _confusion(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    heads = '<th scope="col">truth \\ found</th>' + _number_heads([*names, "pixels"])
    body = ""
    for name, row in zip(names, matrix, strict=False):
        total = sum(row)
        cells = "".join(_shaded(count / total if total else None) for count in row)
        body += f'<tr><th scope="row">{escape(name)}</th>{cells}<td class="number">{total:,}</td></tr>'
    return wide(f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>", label="Confusion of classes")


def plain_table(rows: Sequence[Row]) -> str:
    """The rows of any CSV file, unchanged."""
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in row.values())}</tr>" for row in rows)
    return wide(f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>", label="Ledger")


def _number_heads(names: Sequence[str]) -> str:
    return "".join(f'<th scope="col" class="number">{escape(name)}</th>' for name in names)


def _name_cell(row: Row, name: str) -> str:
    error = f'<small class="bad">{escape(row["error"])}</small>' if row.get("error") else ""
    leftovers = row.get("leftovers", "")
    fallen = f"{row.get('fast_path', '')} left over: {leftovers}" if leftovers else ""
    note = f'<small class="warn">{escape(fallen)}</small>' if fallen else ""
    shown = escape(name)
    return f'<th scope="row" data-value="{shown}" title="{escape(row["artifact"])}">{shown}{error}{note}</th>'


def _cell(row: Row, column: _Column) -> str:
    if column.key == "certified":
        text = {"true": "holds", "false": "fails"}.get(row.get("certified", ""), "")
        badge = f'<span class="badge {"good" if text == "holds" else "bad"}">{text}</span>' if text else ""
        return f'<td data-value="{text}">{badge}</td>'
    if column.show is None:
        text = escape(row.get(column.key, ""))
        return f'<td data-value="{text}">{text}</td>'
    value = number(row, column.key)
    return f'<td class="number" data-value="{"" if value is None else value}">{column.show(value)}</td>'


def _shaded(share: float | None) -> str:
    if share is None or share != share:
        return '<td class="number"></td>'
    return f'<td class="number" style="--share:{100 * share:.0f}%">{percent(share, digits=1)}</td>'


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
    """One badge per certificate, with its values folded below; empty if there are no certificates."""
    if not run.certificates:
        return ""
    items = "".join(_badge(name, values) for name, values in run.certificates.items() if values)
    return f'<div class="certificates">{items}</div>'


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
