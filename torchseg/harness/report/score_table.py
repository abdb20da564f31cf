"""The table of scores, sorted by usefulness; rows that add nothing to a row above them are folded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from torchseg.harness.format import bytes_text, milliseconds, percent, short_names, with_counts
from torchseg.harness.report.recommendation.facts import runtime_title
from torchseg.harness.report.recommendation.recommend import Recommendation
from torchseg.harness.report.run_record import Row, number
from torchseg.harness.report.tables import wide
from torchseg.plural import counted

_COSTS = ("latency_ms_min", "size_bytes")
_CLOSE = 1.05  # costs within this factor are the same: minima of repeated timings differ by that much


@dataclass(frozen=True, kw_only=True)
class _Column:
    key: str
    title: str
    hint: str
    show: Callable[[float | None], str] | None = None  # None: text


_COLUMNS = (
    _Column(key="miou", title="Mean IoU", hint="Mean over the classes that occur in the truth", show=percent),
    _Column(
        key="latency_ms_min",
        title="Latency, min",
        hint="Quickest prediction of one image at batch 1",
        show=milliseconds,
    ),
    _Column(key="size_bytes", title="Size", hint="Bytes on disk, external data included", show=bytes_text),
    _Column(key="runtime", title="Runtime", hint="What ran the file"),
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
    _Column(
        key="certified",
        title="Certificate",
        hint="Whether the file proved to compute what its model computes; few images: proven, but on fewer than 20, "
        "which is too few to state its loss of mean IoU",
    ),
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


def score_table(rows: Sequence[Row], found: Recommendation | None) -> str:
    """The rows of scores.csv as an HTML table; clicking a heading sorts by that column."""
    if not rows:
        return ""
    shown, folded = usefulness(rows, found)
    names = short_names(row["artifact"] for row in rows)
    table = _table(shown, names, label="Scores", chosen=found.file if found else None)
    if not folded:
        return table
    heading = (
        f"{counted(len(folded), 'file')} with the accuracy of one above, to four digits, and neither smaller nor faster"
    )
    rest = _table(folded, names, label="Further scores")
    return f"{table}<details><summary>{heading}</summary>{rest}</details>"


def usefulness(rows: Sequence[Row], found: Recommendation | None) -> tuple[list[Row], list[Row]]:
    """Splits rows into those worth reading, the most useful first, and those that repeat one of them.

    The recommended file comes first, then its reference and its runners-up, then other files by accuracy. A file
    repeats another one if both have the same mean IoU to four digits and it is neither smaller nor faster.
    """
    first = [found.file, found.reference, *found.others.values()] if found else []
    rank = {id(row): at for at, row in reversed(list(enumerate(first)))}
    order = sorted(rows, key=lambda row: (rank.get(id(row), len(first)), bool(row.get("error")), *_merit(row)))
    shown: list[Row] = []
    folded: list[Row] = []
    for row in order:
        repeats = row["format"] != "torch" and id(row) not in rank and any(_repeats(row, other) for other in shown)
        (folded if repeats else shown).append(row)
    return shown, folded


def _merit(row: Row) -> tuple[float, float, float]:
    miou, latency, size = (number(row, name) for name in ("miou", *_COSTS))
    return (-round(miou or 0.0, 4), size or 0.0, latency or 0.0)


def _repeats(row: Row, other: Row) -> bool:
    ours, theirs = number(row, "miou"), number(other, "miou")
    if ours is None or theirs is None or f"{ours:.4f}" != f"{theirs:.4f}" or other["format"] == "torch":
        return False
    costs = [(number(row, name), number(other, name)) for name in _COSTS]
    return all(our is not None and their is not None and our * _CLOSE >= their for our, their in costs)


def _table(rows: Sequence[Row], names: dict[str, str], *, label: str, chosen: Row | None = None) -> str:
    heads = '<th scope="col" aria-sort="none"><button type="button">File</button></th>' + "".join(
        f'<th scope="col" aria-sort="none"{" class=number" if column.show else ""} title="{escape(column.hint)}">'
        f'<button type="button">{column.title}</button></th>'
        for column in _COLUMNS
    )
    body = "".join(
        f"<tr{' class=chosen' if row is chosen else ''}>{_name_cell(row, names[row['artifact']])}"
        f"{''.join(_cell(row, column) for column in _COLUMNS)}</tr>"
        for row in rows
    )
    table = f'<table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
    return wide(table, label=label)


def _name_cell(row: Row, name: str) -> str:
    error = f'<small class="bad">{escape(row["error"])}</small>' if row.get("error") else ""
    leftovers = with_counts(row.get("leftovers", "").split())
    fallen = f"{row.get('fast_path', '')} left over: {leftovers}" if leftovers else ""
    note = f'<small class="warn">{escape(fallen)}</small>' if fallen else ""
    shown = escape(name)
    return f'<th scope="row" data-value="{shown}" title="{escape(row["artifact"])}">{shown}{error}{note}</th>'


def _cell(row: Row, column: _Column) -> str:
    if column.key == "certified":
        said = row.get("certified", "")
        text = {"true": "holds", "false": "fails"}.get(said, escape(said))
        kind = {"true": "good", "false": "bad"}.get(said, "")
        badge = f'<span class="badge {kind}">{text}</span>' if text else ""
        return f'<td data-value="{text}">{badge}</td>'
    if column.show is None:
        text = escape(runtime_title(row) if column.key == "runtime" else row.get(column.key, ""))
        return f'<td data-value="{text}">{text}</td>'
    value = number(row, column.key)
    return f'<td class="number" data-value="{"" if value is None else value}">{column.show(value)}</td>'
