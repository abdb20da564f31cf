"""Rebuilds the report and figures of a run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import ReportConfig


def _job(config: ReportConfig) -> int:
    from torchseg.pipeline.commands.report import report

    return report(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(ReportConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
