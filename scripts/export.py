"""Exports a trained network to ONNX, TFLite and Keras, each file with its certificate."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchseg.cli.command import run_command
from torchseg.config import ExportConfig


def _job(config: ExportConfig) -> int:
    from torchseg.pipeline.commands.export import export

    return export(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(ExportConfig, _job, argv)


if __name__ == "__main__":
    sys.exit(main())
