"""Converts a TensorFlow model to a certified ONNX file."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import ImportConfig


def _job(config: ImportConfig) -> int:
    from torchseg.pipeline.commands.import_tf import import_tf

    return import_tf(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(ImportConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
