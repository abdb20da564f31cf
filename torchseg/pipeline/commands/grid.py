"""The grid command: every combination of a recipe's factors, as one table."""

from __future__ import annotations

from torchseg.cli.command import CHECK_FAILED, DONE
from torchseg.config import GridConfig
from torchseg.pipeline.grid.grid import run_grid
from torchseg.pipeline.grid.jobs import Jobs
from torchseg.pipeline.grid.summary import summary_lines, way_on
from torchseg.progress_bar import duration


def grid(config: GridConfig) -> int:
    """Trains, exports and measures what is missing; returns 1 if a cell failed (the others still run), otherwise 0."""
    jobs = Jobs(threads=config.threads_each)
    try:
        done = run_grid(config, jobs.run)
    finally:  # also after Ctrl-C: no process may go on in the background
        jobs.stop()
    lines = summary_lines(done.folder, done.factors, done.effects)
    print("\n".join(lines))
    print("\nThe same command tries again what failed." if done.failed else f"\nDone in {duration(done.seconds)}.")
    print("\n".join(way_on(done.folder, done.figures)))
    return CHECK_FAILED if any(line.startswith("FAILED: ") for line in lines) else DONE
