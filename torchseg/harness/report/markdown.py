"""The scores as a Markdown table for a README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torchseg.harness.format import bytes_text, milliseconds, percent, short_names
from torchseg.harness.report.run_record import Row, conditions, no_test_results, number, read_scores, split_of
from torchseg.harness.scoring.measurement import TEST
from torchseg.plural import counted

_TITLES = ("File", "Runtime", "Size", "gzip", "Mean IoU", "Min", "Median", "Agreement", "Certificate")


def markdown_table(scores_csv: Path) -> str:
    """The rows of scores.csv, followed by the conditions of the timings; ends with a line break.

    Raises:
        ValueError: if the file is missing or has no rows.
    """
    rows = read_scores(scores_csv)
    if not rows:
        raise ValueError(f"{scores_csv} has no rows; score a run first: torchseg score RUN")
    split = split_of(rows)
    titles = [f"{title} ({split})" if title == "Mean IoU" and split != TEST else title for title in _TITLES]
    lines = [_line(titles), _line(["---", "---", *["---:"] * 6, "---"])]
    names = short_names(row["artifact"] for row in rows)
    timed = [row for row in rows if row["latency_ms_min"]]
    each_says = len({row["threads"] for row in timed}) > 1
    lines += [_line(_cells(row, names[row["artifact"]], threads=each_says)) for row in rows]
    if timed:
        lines += ["", _conditions(timed)]
    if split != TEST:
        lines += ["", no_test_results(split)]
    return "\n".join(lines) + "\n"


def _cells(row: Row, name: str, *, threads: bool) -> list[str]:
    if row["error"]:
        return [name, row["runtime"], *[""] * 6, f"not scored: {row['error']}"]
    return [
        name,
        f"{row['runtime']} {row['runtime_version']}" + f", {counted(row['threads'], 'thread')}" * threads,
        bytes_text(number(row, "size_bytes")),
        bytes_text(number(row, "gzip_bytes")),
        percent(number(row, "miou")),
        milliseconds(number(row, "latency_ms_min")),
        milliseconds(number(row, "latency_ms_median")),
        percent(number(row, "argmax_agreement"), digits=3),
        {"true": "holds", "false": "fails"}.get(row["certified"], row["certified"]),
    ]


def _conditions(rows: Sequence[Row]) -> str:
    value = conditions(rows)
    return (
        f"{counted(value['images'], 'image')} of {value['image_size']}; latency of one image at batch "
        f"{value['batch']}, {counted(value['threads'], 'thread')}, {counted(value['rounds'], 'round')} of "
        f"{value['repeats']} interleaved; {value['host']}."
    )


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
