"""Trains, exports and measures every combination of a recipe's factors, and writes one table."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import GridConfig


def _job(config: GridConfig) -> int:
    from torchseg.pipeline.commands.grid import grid

    return grid(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(GridConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
