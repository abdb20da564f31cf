"""Checks a data set, and can write a smaller copy of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import PrepareConfig


def _job(config: PrepareConfig) -> int:
    from torchseg.pipeline.commands.prepare import prepare

    return prepare(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(PrepareConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
