"""Compares the duration of a grid with one job and with two, on the same total number of threads.

    python benchmarks/grid_jobs.py --rounds 3

Each round trains and exports the same four small networks on scenes into fresh folders, once with `--jobs 1` and once
with `--jobs 2`, in alternating order. The ratio is that of the best rounds; it excludes scoring, which is never
parallel. Exits with 1 if two jobs take more than 1.05 times as long as one. Keep the machine idle meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import yaml

from torchseg.config import GridConfig
from torchseg.console import console
from torchseg.pipeline.grid.grid import make_trainings
from torchseg.pipeline.grid.jobs import Jobs
from torchseg.pipeline.grid.plan import expand
from torchseg.pipeline.grid.recipe import read_recipe
from torchseg.pipeline.grid.trainer import TrainingRunner
from torchseg.pipeline.run.dataset import open_pictures
from torchseg.pipeline.run.folder import RunFolder

ALLOWED = 1.05
RECIPE = {
    "base": {"data": "scenes", "image_size": 64, "model": "xception_unet", "batch_size": 16},
    "factors": {
        "epochs": [40, 80],
        "filters": {"model_arguments.base_width": [16, 32]},
        "precision": {"file": ["torch", "fp32.tflite", "fp16.tflite", "int8.tflite"]},
    },
}


@console()
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="in total; 0 takes every core")
    arguments = parser.parse_args()
    taken: dict[int, list[float]] = {1: [], 2: []}
    for number in range(arguments.rounds):
        for jobs in (1, 2) if number % 2 == 0 else (2, 1):
            taken[jobs].append(_seconds(jobs, arguments.threads))
            print(f"round {number + 1}, --jobs {jobs}: {taken[jobs][-1]:.0f} s", flush=True)
    for jobs, seconds in taken.items():
        print(f"--jobs {jobs}  best {min(seconds):6.1f} s  median {statistics.median(seconds):6.1f} s")
    best, median = (choose(taken[2]) / choose(taken[1]) for choose in (min, statistics.median))
    print(f"two jobs take {best:.2f} times as long as one by best rounds, {median:.2f} by medians; allowed {ALLOWED}")
    return int(best > ALLOWED)


def _seconds(jobs: int, threads: int) -> float:
    """Seconds that training and exporting the whole grid takes."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "recipe.yaml"
        path.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
        config = GridConfig(recipe=path, jobs=jobs, threads=threads, out=Path(name) / "grid")
        plan = expand(read_recipe(path))
        pictures = open_pictures(plan.trainings[0].config)
        runner = Jobs(threads=config.threads_each)
        maker = TrainingRunner(
            plan=plan,
            folder=RunFolder(config.run),
            fingerprints=dict.fromkeys((each.name for each in plan.trainings), pictures.fingerprint),
            launch=runner.run,
            threads=config.threads_each,
        )
        begin = time.perf_counter()
        try:
            failures = make_trainings(maker, dict.fromkeys(maker.fingerprints, pictures), jobs=jobs)
        finally:
            runner.stop()
        if failures:
            raise SystemExit(f"the grid failed: {failures}")
        return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
