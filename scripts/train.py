"""Trains one network with labels."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import TrainConfig
from torchseg.console import STDOUT


def _job(config: TrainConfig) -> int:
    STDOUT.info("Loading PyTorch and reading the data")  # takes seconds
    from torchseg.pipeline.commands.train import train

    return train(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(TrainConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
