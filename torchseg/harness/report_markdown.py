"""The scores as a Markdown table for a README."""

from __future__ import annotations

from pathlib import Path

from torchseg.harness.display import bytes_text, milliseconds, percent, short_name
from torchseg.harness.run_record import Row, number
from torchseg.harness.table import read_table

_TITLES = ("File", "Runtime", "Size", "gzip", "Mean IoU", "Min", "Median", "Agreement", "Certificate")


def markdown_table(scores_csv: Path) -> str:
    """The rows of scores.csv with the conditions of the timing below; ends with a line break.

    Raises:
        ValueError: if the file is missing or has no row.
    """
    rows = read_table(scores_csv)
    if not rows:
        raise ValueError(f"{scores_csv} has no rows; score a run first: torchseg score RUN")
    lines = [_line(_TITLES), _line(["---", "---", *["---:"] * 6, "---"])]
    lines += [_line(_cells(row)) for row in rows]
    timed = next((row for row in rows if row.get("latency_ms_min")), None)
    if timed is not None:
        lines += ["", _conditions(timed)]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[str]:
    if row.get("error"):
        return [short_name(row["artifact"]), row["runtime"], *[""] * 6, f"not scored: {row['error']}"]
    return [
        short_name(row["artifact"]),
        f"{row['runtime']} {row['runtime_version']}",
        bytes_text(number(row, "size_bytes")),
        bytes_text(number(row, "gzip_bytes")),
        percent(number(row, "miou")),
        milliseconds(number(row, "latency_ms_min")),
        milliseconds(number(row, "latency_ms_median")),
        percent(number(row, "argmax_agreement"), digits=3),
        {"true": "holds", "false": "fails"}.get(row["certified"], ""),
    ]


def _conditions(row: Row) -> str:
    return (
        f"{row['images']} pictures of {row['image_size']}; latency of one picture at batch {row['batch']}, "
        f"{row['threads']} thread(s), {row['rounds']} rounds of {row['repeats']} interleaved; {row['host']}."
    )


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
