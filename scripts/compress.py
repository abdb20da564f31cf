"""Removes channels from a trained network, prunes and clusters its weights."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import CompressConfig


def _job(config: CompressConfig) -> int:
    from torchseg.pipeline.commands.compress import compress

    return compress(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(CompressConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
