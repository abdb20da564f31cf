"""Measures accuracy and latency of model files across runtimes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import ScoreConfig


def _job(config: ScoreConfig) -> int:
    from torchseg.pipeline.commands.score import score

    return score(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(ScoreConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
