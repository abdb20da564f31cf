"""The last lines that a grid prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from torchseg.cli.command import other_command
from torchseg.harness.csv_table import read_table
from torchseg.harness.format import bytes_text, milliseconds
from torchseg.harness.report.run_record import number
from torchseg.pipeline.grid.effects import Effect
from torchseg.pipeline.grid.tables import AVERAGE, OK
from torchseg.plural import counted

_SHOWN = 48  # cells; a longer table would not fit a screen or two


def summary_lines(out: Path, factors: Mapping[str, Sequence[str]], effects: Sequence[Effect]) -> list[str]:
    """The table of cells, the main effects, and the cells that failed."""
    rows = read_table(out / AVERAGE)
    lines = ["", *_table(rows[:_SHOWN], list(factors))]
    if len(rows) > _SHOWN:
        lines.append(f"... and {len(rows) - _SHOWN} more in {out / AVERAGE}")
    if effects:
        lines += [
            "",
            "What a level does against the first one, everything else kept (95 % interval over the other settings):",
        ]
        lines += [f"  {_effect_line(effect)}" for effect in effects]
    failed = [row for row in rows if row["status"] != OK]
    lines += [""] if failed else []
    return lines + [f"FAILED: {_name(row, factors)}: {row['status']}: {row['reason']}" for row in failed]


def way_on(out: Path, figures: Sequence[Path]) -> list[str]:
    """The paths of tables and figures, and the next command, for the most accurate file."""
    lines = [f"  tables   {out / AVERAGE} and three more beside it"]
    lines += [f"  figures  {', '.join(map(str, figures))}"] if figures else []
    rows = [row for row in read_table(out / AVERAGE) if number(row, "iou") is not None]
    if rows:
        best = max(rows, key=lambda row: number(row, "iou") or 0.0)
        lines.append(
            f"  next     {other_command('report')} {out / 'trainings' / best['training']}   (the most accurate)"
        )
    return lines


def _effect_line(effect: Effect) -> str:
    scale, sign, digits = (100, "+", 2) if effect.metric.kind == "difference" else (1, "", 3)
    value, low, high = (f"{scale * each:{sign}.{digits}f}" for each in (effect.value, effect.low, effect.high))
    interval = f" ({low} to {high})" if not math.isnan(effect.low) else ""
    unit = " points" if effect.metric.kind == "difference" else " times"
    title = {"iou": "IoU", "time_ms": "time", "memory_mb": "memory", "size_bytes": "size"}[effect.metric.column]
    where = f"{effect.factor} {effect.against} -> {effect.level}"
    return f"{where:40} {title:7} {value}{unit}{interval}, {counted(effect.settings, 'setting')}"


def _table(rows: Sequence[Mapping[str, str]], factors: Sequence[str]) -> list[str]:
    table = [[*factors, "IoU %", "Dice %", "time", "memory", "size", "status"]]
    for row in rows:
        iou, dice = (number(row, name) for name in ("iou", "dice"))
        shares = ["-" if each is None else f"{100 * each:.2f}" for each in (iou, dice)]
        memory = number(row, "memory_mb")
        costs = [
            milliseconds(number(row, "time_ms")),
            "" if memory is None else f"{memory:.0f} MiB",
            bytes_text(number(row, "size_bytes")),
        ]
        table.append([*(row[name] for name in factors), *shares, *(each or "-" for each in costs), row["status"]])
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]


def _name(row: Mapping[str, str], factors: Mapping[str, Sequence[str]]) -> str:
    return " ".join(f"{name}={row[name]}" for name in factors)
