"""Writes generated text between the markers of a Markdown file: `<!-- table: NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re
from pathlib import Path


def write_marked_table(target: Path, name: str, text: str) -> None:
    """Replaces the text between the markers of that name.

    Raises:
        ValueError: unless the file has these markers exactly once; the file is then not modified.
    """
    block = f"<!-- table: {name} -->\n{text.strip()}\n<!-- end -->"
    pattern = rf"<!-- table: {re.escape(name)} -->.*?<!-- end -->"
    written, count = re.subn(pattern, lambda _: block, target.read_text(encoding="utf-8"), flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{target} has {count} tables named '{name}'; expected 1")
    target.write_text(written, encoding="utf-8")
