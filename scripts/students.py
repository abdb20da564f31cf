"""Measures how large and how fast the students are on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import StudentsConfig


def _job(config: StudentsConfig) -> int:
    from torchseg.pipeline.commands.students import students

    return students(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(StudentsConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
