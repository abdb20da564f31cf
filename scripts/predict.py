"""Predicts masks for images with any model file."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import PredictConfig


def _job(config: PredictConfig) -> int:
    from torchseg.pipeline.commands.predict import predict

    return predict(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(PredictConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
