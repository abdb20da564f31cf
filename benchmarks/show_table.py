"""Prints the table of a benchmark and optionally writes it to a file."""

from __future__ import annotations

from pathlib import Path


def show_table(text: str, target: Path | None) -> None:
    """Prints the text and, if there is a target, writes it to that file."""
    print("\n" + text)
    if target:
        target.write_text(text + "\n", encoding="utf-8")
