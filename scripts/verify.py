"""Recomputes certificates of exported files and compares them with the stored ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import VerifyConfig


def _job(config: VerifyConfig) -> int:
    from torchseg.pipeline.commands.verify import verify

    return verify(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(VerifyConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
