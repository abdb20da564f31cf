"""The tables of a report: scores, classes, confusion, ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from torchseg.harness.display import bytes_text, milliseconds, percent, short_name
from torchseg.harness.run_record import Row, RunRecord, number


@dataclass(frozen=True, kw_only=True)
class _Column:
    key: str
    title: str
    hint: str
    show: Callable[[float | None], str] | None = None  # None: text


_COLUMNS = (
    _Column(key="stage", title="Stage", hint="What made the weights"),
    _Column(key="precision", title="Precision", hint="How the file stores its numbers"),
    _Column(key="runtime", title="Runtime", hint="What ran the file"),
    _Column(key="miou", title="Mean IoU", hint="Mean over the classes that occur in the truth", show=percent),
    _Column(key="mean_dice", title="Mean Dice", hint="Dice = 2 IoU / (1 + IoU)", show=percent),
    _Column(key="pixel_accuracy", title="Pixels right", hint="Share of known pixels with the true class", show=percent),
    _Column(
        key="latency_ms_min",
        title="Latency, min",
        hint="Quickest prediction of one picture at batch 1",
        show=milliseconds,
    ),
    _Column(key="latency_ms_median", title="median", hint="Half of the predictions were quicker", show=milliseconds),
    _Column(key="latency_ms_p90", title="p90", hint="Nine of ten predictions were quicker", show=milliseconds),
    _Column(
        key="latency_ratio",
        title="Time ratio",
        hint="Its time over that of its PyTorch model, median over rounds",
        show=lambda value: "" if value is None else f"{value:.2f}",
    ),
    _Column(key="speed", title="Speed", hint="Against its PyTorch model; same: the difference is inside the noise"),
    _Column(key="size_bytes", title="Size", hint="Bytes on disk, external data included", show=bytes_text),
    _Column(key="gzip_bytes", title="Gzip", hint="Bytes after gzip -9: what a download costs", show=bytes_text),
    _Column(key="load_ms", title="Load", hint="To open the file, the library's import left out", show=milliseconds),
    _Column(
        key="peak_rss_mb",
        title="Memory",
        hint="Peak resident memory above the empty process, library included",
        show=lambda value: "" if value is None else f"{value:.0f} MB",
    ),
    _Column(
        key="argmax_agreement",
        title="Agreement",
        hint="Share of pixels with the class that its PyTorch model gives",
        show=lambda value: percent(value, digits=3),
    ),
    _Column(key="boundary_miou", title="Boundary IoU", hint="Mean IoU of the bands along the contours", show=percent),
    _Column(key="sparsity", title="Zeros", hint="Share of convolution weights that are zero", show=percent),
    _Column(
        key="max_unique_weights",
        title="Values",
        hint="Distinct values other than zero, at most, in one weight tensor",
        show=lambda value: "" if value is None else f"{value:,.0f}",
    ),
    _Column(key="certified", title="Certificate", hint="Whether the file proved to compute what its model computes"),
)


def score_table(rows: Sequence[Row]) -> str:
    """The rows of scores.csv; a click on a heading sorts by it."""
    if not rows:
        return ""
    heads = '<th scope="col" aria-sort="none"><button type="button">File</button></th>' + "".join(
        f'<th scope="col" aria-sort="none" title="{escape(column.hint)}">'
        f'<button type="button">{column.title}</button></th>'
        for column in _COLUMNS
    )
    body = "".join(f"<tr>{_name_cell(row)}{''.join(_cell(row, column) for column in _COLUMNS)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def class_table(run: RunRecord) -> str:
    """IoU of every class for every file, shaded; a class that never occurs is empty."""
    names = list(dict.fromkeys(row["class"] for row in run.classes))
    if not names:
        return ""
    by_file: dict[str, dict[str, float | None]] = {}
    for row in run.classes:
        file = f"{short_name(row['artifact'])} ({row.get('runtime', '')})"
        by_file.setdefault(file, {})[row["class"]] = number(row, "iou")
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in ["File", *names])
    body = "".join(
        f'<tr><th scope="row">{escape(file)}</th>{"".join(_shaded(shares.get(name)) for name in names)}</tr>'
        for file, shares in by_file.items()
    )
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def confusion_table(run: RunRecord) -> str:
    """Where the pixels of each class went, for the student's checkpoint or whichever file leads the gallery."""
    counts: Mapping[str, Any] = run.confusion.get("counts", {})
    leader = str(run.gallery.get("leader", next(iter(counts), "")))
    if leader not in counts:
        return ""
    names = [str(name) for name in run.confusion.get("classes", [])]
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in ["truth \\ found", *names])
    body = ""
    for name, row in zip(names, counts[leader], strict=False):
        total = sum(row)
        cells = "".join(_shaded(count / total if total else None) for count in row)
        body += f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'
    return (
        f"<p>{escape(short_name(leader))}: each row shows where the pixels of one true class went.</p>"
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def plain_table(rows: Sequence[Row]) -> str:
    """Any CSV file as it is."""
    if not rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in row.values())}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _name_cell(row: Row) -> str:
    error = f'<small class="bad">{escape(row["error"])}</small>' if row.get("error") else ""
    leftovers = row.get("leftovers", "")
    fallen = f"{row.get('fast_path', '')} left over: {leftovers}" if leftovers else ""
    note = f'<small class="warn">{escape(fallen)}</small>' if fallen else ""
    name = escape(short_name(row["artifact"]))
    return f'<th scope="row" data-value="{name}" title="{escape(row["artifact"])}">{name}{error}{note}</th>'


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
