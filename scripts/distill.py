"""Runs the whole pipeline: teacher, student, pruning, clustering, export, certificates, scores, report."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import DistillConfig
from torchseg.console import STDOUT


def _job(config: DistillConfig) -> int:
    STDOUT.info("Loading PyTorch and reading the data")  # takes seconds
    from torchseg.pipeline.commands.distill import distill

    return distill(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(DistillConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
