"""Builds `report.html` out of a run folder and nothing else."""

from __future__ import annotations

from pathlib import Path

from torchseg.harness.report.figures import save_figures
from torchseg.harness.report.markdown import markdown_table
from torchseg.harness.report.report_html import report_html
from torchseg.harness.report.run_record import read_run
from torchseg.partial_file import partial_file

__all__ = ["markdown_table", "write_report"]


def write_report(run: Path) -> Path:
    """Writes `report.html` and figures/*.png into a run folder, from what lies there; what is missing is left out.

    The page is one file: it opens from disk, asks no host and works in light and dark.

    Args:
        run: folder with scores.csv or at least one stage's curves.csv.

    Returns:
        The page's path.

    Raises:
        ValueError: if the folder is none of a run.
    """
    record = read_run(run)
    save_figures(record)
    path = run / "report.html"
    with partial_file(path) as partial:
        partial.write_text(report_html(record), encoding="utf-8")
    return path
