"""Puts the measurements of results/ into the site: they lie beside docs/, where MkDocs does not look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files


def on_files(files: Files, *, config: Any) -> Files:
    """Adds results/*.md as pages below results/."""
    for path in sorted((Path(config.config_file_path).parent / "results").glob("*.md")):
        files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links that leave docs/ in the repository stay within the site."""
    return markdown.replace("](../../results/", "](../results/")
