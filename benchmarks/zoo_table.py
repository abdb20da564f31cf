"""The table that `zoo.py` writes: counts for each kind of file, one row per network and size, and what went wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from show_table import made_by

from torchseg.harness.host import cpu_name

NOT_BUILT = "not built"
ILL_CONDITIONED = "ill-conditioned"
PACKAGES = (
    *("torch", "torchvision", "segmentation-models-pytorch", "timm", "onnx", "onnxruntime", "tensorflow"),
    "ai-edge-litert",
)
# What the words in the cells mean, by what a sentence about a file starts with; anything else is a refusal.
_WORDS = {"TRACEBACK": "crash", "DIED": "crash", "took": "crash", "wrong": "wrong", ILL_CONDITIONED: ILL_CONDITIONED}
_SHOWN = {
    "right": "right",
    "refused": "refused",
    "wrong": "wrong",
    "crash": "traceback, crash or timeout",
    ILL_CONDITIONED: ILL_CONDITIONED,
}

Row = dict[str, Any]
"""One line of `zoo.jsonl`: `network`, `size`, `date`, `seconds`, `files` and `proof`.

`files` says what is wrong, by `PRECISION FORMAT`; empty for a right file. Rows of earlier versions have no `proof`.
"""


def read_rows(path: Path) -> Iterator[Row]:
    """The lines of a file of results; none if it does not exist yet."""
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def append_row(path: Path, row: Row, *, said: Mapping[str, str]) -> None:
    """Adds a line to a file of results, and prints what was said of each file; nothing for a right one."""
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(row) + "\n")
    print(row["network"], row["size"], *(f"{file}: {each or 'right'}" for file, each in said.items()), flush=True)


def write_table(lines: Sequence[str], *targets: Path | None) -> None:
    """Writes lines of Markdown, and what made them, to each target that is given."""
    for path in filter(None, targets):
        path.write_text("\n".join([*lines, "", made_by()]) + "\n", encoding="utf-8")


def days_of(rows: Sequence[Row]) -> str:
    """The first and the last day of rows, `2026-01-01 to 2026-01-03`; one if they are the same."""
    days = sorted({row["date"] for row in rows})
    return " to ".join(dict.fromkeys([*days[:1], *days[-1:]]))


def count_lines(title: str, words: Mapping[str, str], counts: Mapping[str, Counter[str]]) -> list[str]:
    """A table of how often each word was said, one line per counter.

    Args:
        title: of the first column, whose cells are the keys of `counts`.
        words: those to show, and the title of the column of each.
        counts: how often each word, of which one is `right`, was said.
    """
    lines = [f"| {title} | {' | '.join(words.values())} | share right |", "|---" * (len(words) + 2) + "|"]
    for name, each in counts.items():
        share = 100 * each["right"] / max(each.total(), 1)
        lines.append(f"| {name} | {' | '.join(str(each[word]) for word in words)} | {share:.1f} % |")
    return lines


def built(rows: Iterable[Row]) -> list[Row]:
    """The rows of networks that exist and run at the size."""
    return [row for row in rows if NOT_BUILT not in row["files"]]


def zoo_table(rows: Sequence[Row]) -> list[str]:
    """Lines of Markdown."""
    found = built(rows)
    files = list(dict.fromkeys(name for row in found for name in row["files"]))
    failures = [(row, file, said) for row in found for file, said in row["files"].items() if said]
    return [
        *_head(rows, found),
        *count_lines("file", _SHOWN, {file: _counts(found, file) for file in files}),
        "",
        *_networks(found, files),
        *(["", "What was said of the files that are not right:", ""] if failures else []),
        *(f"- {_shown(row)}, {file}: {said}" for row, file, said in failures),
        *_left_out(rows),
    ]


def _head(rows: Sequence[Row], found: Sequence[Row]) -> list[str]:
    sizes = " ".join(dict.fromkeys(row["size"] for row in rows))
    networks = len({row["network"] for row in found})
    return [
        "# Networks of others",
        "",
        f"{networks} networks with random weights, exported by",
        "",
        f"    python benchmarks/zoo.py --out FOLDER --code networks.txt --sizes {sizes}",
        "",
        "and judged as certificates judge files: classes, logits (fp32) or mean IoU (int8), and the proof of weights",
        "and layers where there is one. The logits of an int8 file must moreover be within 5 % of their range, on",
        "average, or within what rounding weights and values to 8 bits costs this network in PyTorch.",
        "`ill-conditioned` is a network whose logits in PyTorch change by more than the limit between float32 and",
        "float64, so that no file can be judged; the shares count it as not right. `OWNER/REPOSITORY:NAME` is code of",
        "that repository on GitHub, which `networks.txt` lists and this project does not contain.",
        *_earlier(found),
        "",
        f"{', '.join(f'{name} {version(name)}' for name in PACKAGES)}; {cpu_name()}; {days_of(rows)}.",
        "",
    ]


def _earlier(found: Sequence[Row]) -> list[str]:
    count = sum(not row.get("proof") for row in found)
    if not count:
        return []
    return [
        "",
        f"Rows marked with * ({count} of {len(found)}) are of an earlier version, which did without the proof of",
        "weights and layers: an int8 file was right if it held mean IoU and 5 % of the range.",
    ]


def _counts(found: Sequence[Row], file: str) -> Counter[str]:
    return Counter(word(row["files"][file]) for row in found if file in row["files"])


def _networks(found: Sequence[Row], files: Sequence[str]) -> list[str]:
    lines = [f"| network | size | {' | '.join(files)} |", "|---" * (len(files) + 2) + "|"]
    for row in found:
        cells = (word(row["files"][file]) if file in row["files"] else "" for file in files)
        name = row["network"] if row.get("proof") else f"{row['network']} *"
        lines.append(f"| {name} | {row['size'].replace(',', 'x')} | {' | '.join(cells)} |")
    return lines


def _left_out(rows: Sequence[Row]) -> list[str]:
    left = [row for row in rows if NOT_BUILT in row["files"]]
    lines = [f"- {_shown(row)}: {row['files'][NOT_BUILT]}" for row in left]
    return (
        ["", "Not counted, because the network cannot be built or does not run at this size:", "", *lines]
        if left
        else []
    )


def _shown(row: Row) -> str:
    return f"{row['network']} {row['size'].replace(',', 'x')}"


def word(said: str) -> str:
    """One word for a cell."""
    if not said:
        return "right"
    return next((short for start, short in _WORDS.items() if said.startswith(start)), "refused")
