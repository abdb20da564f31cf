"""Checks that the peak memory of scoring does not grow with the number of images.

    python benchmarks/scoring_memory.py FILE... --pictures 100,10000 --table FILE.md

Each number of generated images is scored in a process of its own, which starts one process per file. Exits with 1 if
that process, or the largest of those it started, needs over 100 MiB more for the most images than for the fewest.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
from marked_table import write_marked_table
from show_table import made_by

from torchseg.console import console
from torchseg.data import Sample
from torchseg.harness.host import peak_memory_mb
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.harness.scoring.score import score_artifacts
from torchseg.pipeline.commands.score import single_artifact
from torchseg.spec import ImageSpec

ALLOWED_MIB = 100
CLASSES = ("ground", "striped", "checked", "wire", "ring")


class _Noise:
    """Images and masks of noise, generated on access."""

    def __init__(self, count: int, spec: ImageSpec) -> None:
        self._count, self._spec = count, spec

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        random, sides = np.random.default_rng(index), (self._spec.height, self._spec.width)
        picture = random.integers(0, 256, (*sides, 3), dtype=np.uint8)
        return Sample(name=f"{index}", picture=picture, mask=random.integers(0, len(CLASSES), sides).astype(np.uint8))


@console()
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="model files of five classes, e.g. of runs/scenes")
    parser.add_argument("--pictures", default="100,10000")
    parser.add_argument("--table", type=Path, help="Markdown file with a table `images`")
    arguments = parser.parse_args()
    counts, peaks = [int(count) for count in arguments.pictures.split(",")], []
    for count in counts:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peaks.append(pool.apply(_peak, (arguments.files, count)))
        print(f"{count:7} images: " + " and ".join(f"{peak:.1f} MiB" for peak in peaks[-1]), flush=True)
    text = (
        "| images | peak of the command, MiB | of a process that it started, MiB at most |\n|---:|---:|---:|\n"
        + "".join(f"| {count:,} | {peak[0]:.1f} | {peak[1]:.1f} |\n" for count, peak in zip(counts, peaks, strict=True))
        + f"\n{len(arguments.files)} files: {', '.join(file.name for file in arguments.files)}."
    )
    print(f"\n{text}")
    if arguments.table:
        write_marked_table(arguments.table, "images", f"{text}\n\n{made_by()}")
    return int(any(max(each) - min(each) > ALLOWED_MIB for each in zip(*peaks, strict=True)))


def _peak(files: list[Path], count: int) -> tuple[float, float]:
    """Peak memory of this process and of the largest process that it started, in MiB."""
    artifacts = [single_artifact(path) for path in files]
    height, width = artifacts[0].file.image_size or (64, 64)
    spec = ImageSpec(height=height, width=width, classes=CLASSES)
    with tempfile.TemporaryDirectory() as out:
        score_artifacts(artifacts, _Noise(count, spec), spec, Path(out), config=LatencyConfig(rounds=2, max_rounds=2))
    return peak_memory_mb(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
