"""Prints the table of a benchmark and optionally writes it to a file, with the command, the commit and the date."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path


def show_table(text: str, target: Path | None) -> None:
    """Prints the text and, if there is a target, writes it to that file, and below it what made it."""
    print("\n" + text)
    if target:
        target.write_text(f"{text}\n\n{made_by()}\n", encoding="utf-8")


def made_by(command: str = "") -> str:
    """The command (by default the script that runs), the commit of its code and the date, in a sentence."""
    script = Path(sys.argv[0])
    command = command or f"python {script.parent.name}/{script.name}"
    known = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude", "*"],  # e.g. `3f78688-dirty`
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    code = f"at commit {known}" if known else "without a repository"
    return f"Made by `{command}` {code} on {datetime.now(UTC):%Y-%m-%d}."
