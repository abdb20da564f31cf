"""The tables of single classes: the four measures of each, and where its pixels went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from torchseg.harness.format import percent, short_names
from torchseg.harness.report.rare_classes import MARK, rare_classes, rare_text
from torchseg.harness.report.recommendation.facts import runtime_title
from torchseg.harness.report.recommendation.recommend import Recommendation
from torchseg.harness.report.run_record import Row, RunRecord, number
from torchseg.harness.report.tables import wide
from torchseg.harness.scoring.columns import CONFUSION, MEAN, MEASURES
from torchseg.plural import counted

_MOST_CELLS = 30_000  # of confusion matrices: 1.5 MB of a page that stays below 4 MB
_TITLES = {"dice": "Dice", "iou": "IoU", "precision": "Precision", "recall": "Recall"}


def class_table(run: RunRecord, found: Recommendation | None) -> str:
    """Dice, IoU, precision and recall of each class, and their means, for each file, shaded by value.

    A mean over a class with few pixels in the scored images is marked. The tables of the recommended file and of its
    reference are open, the others folded; the cell of a class that never occurs is empty.
    """
    by_file: dict[tuple[str, str], list[Row]] = {}
    for row in run.classes:
        by_file.setdefault((row["artifact"], row.get("runtime", "")), []).append(row)
    if not by_file:
        return ""
    first = [found.file, found.reference] if found else []
    keys = [key for row in first if (key := (row["artifact"], row.get("runtime", ""))) in by_file]
    leading = list(dict.fromkeys(keys)) or [next(iter(by_file))]
    names = short_names(artifact for artifact, _ in by_file)
    means = {(row["artifact"], row.get("runtime", "")): row for row in run.scores}
    tables = {key: _measures(rows, means.get(key, {}), run.split) for key, rows in by_file.items()}
    titles = {key: escape(f"{names[key[0]]} ({runtime_title(rows[0])})") for key, rows in by_file.items()}
    opened = "".join(f"<div><h3>{titles[key]}</h3>{tables[key]}</div>" for key in leading)
    rest = [key for key in by_file if key not in leading]
    others = "".join(f"<details><summary>{titles[key]}</summary>{tables[key]}</details>" for key in rest)
    folded = f"<details><summary>the other files</summary>{others}</details>" if rest else ""
    return f'<div class="pair">{opened}</div>{folded}'


def _measures(rows: Sequence[Row], means: Row, split: str) -> str:
    classes = [row for row in rows if row.get("class_index") or row["class"] != MEAN]
    body = "".join(
        f'<tr><th scope="row">{escape(row["class"])}</th>{"".join(_shaded(number(row, key)) for key in MEASURES)}</tr>'
        for row in classes
    )
    rare = rare_classes(classes)
    mark, note = (
        (f" {MARK}", f'<p class="soft">{MARK} {escape(rare_text(rare, split=split))}</p>') if rare else ("", "")
    )
    foot = "".join(_shaded(number(means, mean)) for mean in MEASURES.values())
    return wide(
        f'<table><thead><tr><th scope="col">Class</th>{_number_heads([_TITLES[key] for key in MEASURES])}</tr></thead>'
        f'<tbody>{body}</tbody><tfoot><tr><th scope="row">{MEAN}{mark}</th>{foot}</tr></tfoot></table>{note}',
        label="Measures of every class",
    )


def confusion_tables(run: RunRecord, found: Recommendation | None) -> str:
    """Confusion matrices: open for the recommended file, folded for every other file while the page has room."""
    counts: Mapping[str, Any] = run.confusion.get("counts", {})
    if not counts:
        return ""
    leader = found.file["artifact"] if found else str(run.gallery.get("leader", ""))
    leader = leader if leader in counts else next(iter(counts))
    names = [str(name) for name in run.confusion.get("classes", [])]
    files = short_names(counts)
    room = _MOST_CELLS // max(len(names), 1) ** 2  # in matrices
    if room == 0:
        return f"<p>{len(names)} classes are too many for this page; the counts are in {CONFUSION}.</p>"
    shown = [leader, *(file for file in counts if file != leader)][:room]
    others = "".join(
        f"<details><summary>{escape(files[file])}</summary>{_confusion(names, counts[file])}</details>"
        for file in shown[1:]
    )
    rest = f"<details><summary>the other files</summary>{others}</details>" if others else ""
    if missing := len(counts) - len(shown):
        rest += f'<p class="soft">The counts of {counted(missing, "more file")} are in {CONFUSION}.</p>'
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


def _number_heads(names: Sequence[str]) -> str:
    return "".join(f'<th scope="col" class="number">{escape(name)}</th>' for name in names)


def _shaded(share: float | None) -> str:
    if share is None or share != share:
        return '<td class="number"></td>'
    return f'<td class="number" style="--share:{100 * share:.0f}%">{percent(share, digits=1)}</td>'
