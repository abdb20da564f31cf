"""Prints a benchmark's table at its end, and keeps it where that was asked for."""

from __future__ import annotations

from pathlib import Path


def show_table(text: str, target: Path | None) -> None:
    """Prints the text; with a target it becomes that file, too."""
    print("\n" + text)
    if target:
        target.write_text(text + "\n", encoding="utf-8")
