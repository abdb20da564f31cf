"""Makes a network trained elsewhere a checkpoint of this project."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import AdoptConfig


def _job(config: AdoptConfig) -> int:
    from torchseg.pipeline.commands.adopt import adopt

    return adopt(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(AdoptConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
