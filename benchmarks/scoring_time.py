"""Measures the minutes, by phase, of scoring twelve files in three runtimes on 300 images of 128x128.

    python benchmarks/scoring_time.py [--table FILE.md]

Makes the files itself (default student and teacher with random weights and batch norm statistics of scenes),
scores them like `scripts/score.py` with default settings, and exits with 1 above four minutes.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import cast

import numpy as np
import torch
from show_table import show_table

from scripts.score import main as score
from tf_bridge.conversion import Conversion
from torchseg.checkpoint import Card, save_checkpoint
from torchseg.config import DistillConfig
from torchseg.cores import available_cores
from torchseg.data import DataSet, write_folder
from torchseg.data.datasets.scenes import CLASSES, Scenes
from torchseg.harness.scoring.timing import PHASE
from torchseg.modelfile.kinds import FORMATS
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model, parse_arguments
from torchseg.pipeline.stages.default_networks import with_default_networks
from torchseg.spec import ImageSpec

ALLOWED_MINUTES = 4.0
SIDE, PICTURES = 128, 300
FILES = [*product(FORMATS, ("fp32", "fp16")), ("onnx", "int8")]  # per network, in addition to its checkpoint


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        files = list(_files(work))
        write_folder(_scenes(arguments.pictures), work / "pictures", size=(SIDE, SIDE))
        phases = _Phases()
        log = logging.getLogger("torchseg.harness")
        log.addHandler(phases)
        log.setLevel(logging.INFO)
        log.propagate = False
        begin = time.monotonic()
        code = score([*map(str, files), "--data", "folder", "--root", f"{work}/pictures", "--out", f"{work}/out"])
        minutes = (time.monotonic() - begin) / 60
    show_table(_table(phases.seconds, minutes, len(files), arguments.pictures), arguments.table)
    return code or int(minutes > ALLOWED_MINUTES)


class _Phases(logging.Handler):
    """Collects the seconds that the harness logs for each phase."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.seconds: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == PHASE:
            phase, seconds = cast("tuple[str, float]", record.args)
            self.seconds[phase] = seconds


def _scenes(tested: int) -> DataSet:
    train, validation, test, transfer = (
        Scenes(part, height=SIDE, width=SIDE, length=tested if part == "test" else 1)
        for part in ("train", "validation", "test", "transfer")
    )
    return DataSet(classes=CLASSES, train=train, validation=validation, test=test, transfer=transfer)


def _files(work: Path) -> Iterator[Path]:
    """Writes checkpoints and files of the two networks that `scripts/distill.py` builds by default."""
    config, spec = with_default_networks(DistillConfig()), ImageSpec(height=SIDE, width=SIDE, classes=CLASSES)
    pictures = Scenes("train", height=SIDE, width=SIDE, length=16)
    images = spec.prepare(np.stack([pictures[index].picture for index in range(16)]))
    for stage in ("teacher", "student"):
        builder, arguments = getattr(config, stage), parse_arguments(getattr(config, f"{stage}_arguments"))
        network = build_model(builder, arguments, spec, seed=0).train()
        with torch.no_grad():
            network(torch.from_numpy(images))
        save_checkpoint(
            network.eval(), Card(builder=builder, arguments=arguments, spec=spec, stage=stage), work / stage
        )
        yield work / stage
        conversion = Conversion(network, spec)
        for kind, precision in FILES:
            path = work / f"{stage}.{precision}.{kind}"
            calibration = images if precision == "int8" else None
            conversion.write(path, precision=Precision(precision), calibration=calibration)
            yield path


def _table(phases: dict[str, float], minutes: float, files: int, pictures: int) -> str:
    rows = [
        f"| {phase} | {seconds:.0f} | {100 * seconds / (60 * minutes):.0f} % |" for phase, seconds in phases.items()
    ]
    rest = 60 * minutes - sum(phases.values())
    what = f"{files} files, {pictures} images of {SIDE}x{SIDE}, {available_cores()} cores"
    return "\n".join(
        [
            f"{what}: **{minutes:.2f} minutes**",
            "",
            "| phase | seconds | share |",
            "|---|---:|---:|",
            *rows,
            f"| start, report | {rest:.0f} | {100 * rest / (60 * minutes):.0f} % |",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
