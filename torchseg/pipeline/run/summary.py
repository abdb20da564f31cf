"""Lines that commands print at the end: tables of scores, and checkpoints as arguments of the next command."""

from __future__ import annotations

import csv
from pathlib import Path

from torchseg.checkpoint import read_card
from torchseg.harness.format import aligned, counted

_COLUMNS = (
    ("file", "artifact", "{}"),
    ("runtime", "runtime", "{}"),
    ("threads", "threads", "{}"),
    ("mean IoU %", "miou", "{:.2f}"),
    ("agreement %", "argmax_agreement", "{:.3f}"),
    ("ms (min)", "latency_ms_min", "{:.2f}"),
    ("kB", "size_bytes", "{:.0f}"),
    ("certified", "certified", "{}"),
)
_KINDS = {
    "probability": "its values are probabilities",
    "mask255": "its values run from 0 to 255",
    "classes": "it gives classes",
}
_SHOWN_IF_MIXED = ("runtime", "threads")
_SCALES = {"miou": 100.0, "argmax_agreement": 100.0, "size_bytes": 1e-3}


def checkpoint_argument(checkpoint: Path) -> str:
    """A checkpoint as an argument of the next command, with the hash to confirm if its network is in a code file."""
    code = read_card(checkpoint).code
    return f"{checkpoint} --trust_code {code['sha256']}" if code else str(checkpoint)


def table_lines(scores: Path) -> list[str]:
    """The main columns of `scores.csv`, aligned, one line per row; empty if there is no table."""
    if not scores.is_file():
        return []
    with scores.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    mixed = {key for key in _SHOWN_IF_MIXED if len({row.get(key) for row in rows}) > 1}
    columns = [each for each in _COLUMNS if each[1] not in _SHOWN_IF_MIXED or each[1] in mixed]
    cells = [[_cell(row, key, form) for _, key, form in columns] for row in rows]
    return aligned([[title for title, _, _ in columns], *cells])


def comparison_lines(scores: Path) -> list[str]:
    """Compares every file with its baseline; each difference has a 99 % interval."""
    with scores.open(newline="", encoding="utf-8") as file:
        return [_comparison(row) for row in csv.DictReader(file) if row.get("latency_ratio")]


def note_lines(scores: Path) -> list[str]:
    """How the output of each file was read, if there was a choice."""
    with scores.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = []
    for row in rows:
        kind = "" if row["certified"] else _KINDS.get(row["output_kind"], "")  # a certified file is one of this project
        said = "; ".join(filter(None, (kind, row["note"])))
        lines += [f"{row['artifact']}: {said}"] if said and not row["error"] else []
    return list(dict.fromkeys(lines))


def _comparison(row: dict[str, str]) -> str:
    ratio, low, high = (float(row[f"latency_ratio{end}"]) for end in ("", "_low", "_high"))
    text = (
        f"{row['artifact']} ({row['runtime']}, {counted(int(row['threads']), 'thread')}) against {row['against']}:\n"
        f"  time      {ratio:.3f} times ({low:.3f} to {high:.3f}): {row['speed']}"
    )
    if not row["miou_difference"]:
        return text
    apart, low, high = (100 * float(row[f"miou_difference{end}"]) for end in ("", "_low", "_high"))
    return f"{text}\n  mean IoU  {apart:+.2f} points ({low:+.2f} to {high:+.2f}): {row['accuracy']}"


def _cell(row: dict[str, str], key: str, form: str) -> str:
    value = row.get(key, "")
    if not value or form == "{}":
        return value or "-"
    return form.format(float(value) * _SCALES.get(key, 1.0))
