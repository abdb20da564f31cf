"""Searches for the best distillation configuration within a size or latency budget."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import SearchConfig


def _job(config: SearchConfig) -> int:
    from torchseg.pipeline.commands.search import search

    return search(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(SearchConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
