"""Peak memory of scoring many generated pictures: it must not grow with their number.

    python benchmarks/scoring_memory.py FILE... --pictures 100,10000

Each number of pictures is scored in a process of its own. Exits 1 if the largest needs 100 MiB more than the smallest.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from pathlib import Path

import numpy as np

from torchseg.data import Sample
from torchseg.harness.latency import LatencyConfig
from torchseg.harness.peak_memory import peak_memory_mb
from torchseg.harness.score import score_artifacts
from torchseg.pipeline.file_spec import file_size
from torchseg.pipeline.score_plan import single_artifact
from torchseg.spec import ImageSpec

ALLOWED_MIB = 100
CLASSES = ("ground", "striped", "checked", "wire", "ring")


class _Noise:
    """Pictures and masks of noise, made when they are asked for."""

    def __init__(self, count: int, spec: ImageSpec) -> None:
        self._count, self._spec = count, spec

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        random, sides = np.random.default_rng(index), (self._spec.height, self._spec.width)
        picture = random.integers(0, 256, (*sides, 3), dtype=np.uint8)
        return Sample(name=f"{index}", picture=picture, mask=random.integers(0, len(CLASSES), sides).astype(np.uint8))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="model files of five classes, e.g. of runs/scenes")
    parser.add_argument("--pictures", default="100,10000")
    arguments = parser.parse_args()
    peaks = []
    for count in map(int, arguments.pictures.split(",")):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peaks.append(pool.apply(_peak, (arguments.files, count)))
        print(f"{count:7} pictures: {peaks[-1]:.1f} MiB at the most", flush=True)
    return int(max(peaks) - min(peaks) > ALLOWED_MIB)


def _peak(files: list[Path], count: int) -> float:
    artifacts = [single_artifact(path) for path in files]
    height, width = file_size(artifacts[0]) or (64, 64)
    spec = ImageSpec(height=height, width=width, classes=CLASSES)
    with tempfile.TemporaryDirectory() as out:
        score_artifacts(artifacts, _Noise(count, spec), spec, Path(out), config=LatencyConfig(rounds=2, max_rounds=2))
    return peak_memory_mb()


if __name__ == "__main__":
    sys.exit(main())
