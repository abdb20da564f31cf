"""Measures seconds per 100 images read, and images per second of training with and without the cache.

Images are read as in the check of the commands: opened, checked and reduced to the size that training can use, with the
files in the operating system's cache. Training is that of the default student at 128x128 with batch 8 and, as in the
commands, one worker: `decoding` opens each image every time, `cached` reads the cache of the run folder. Runs
alternate; the table shows the best and the medians.

    python benchmarks/reading_speed.py oxford-pet=FOLDER camvid=FOLDER aerial=FOLDER --rounds 5 --table FILE.md
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from data_parallel_training import data_parallel_training
from show_table import show_table

from torchseg.config import LearningConfig
from torchseg.data import Batches, BatchPlan, BoundedSamples, RandomView, Sample, Samples, open_data
from torchseg.data.cache import read_in_order
from torchseg.harness.host import cpu_name
from torchseg.pipeline.run.dataset import cached_pictures, check_stage, open_pictures
from torchseg.pipeline.run.folder import RunFolder
from torchseg.spec import ImageSpec
from torchseg.train import TrainingPrecision, choose_precision

SIZE, BATCH, STEPS, READ = 128, 8, 20, 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="NAME=FOLDER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", type=Path, help="Markdown file for the table.")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lines = []
    for entry in arguments.data:
        name, _, folder = entry.partition("=")
        with tempfile.TemporaryDirectory() as run:
            data = LearningConfig(data=name, root=Path(folder), image_size=str(SIZE))
            lines.append(_measured(data, RunFolder(Path(run)), arguments.rounds, arguments.threads))
            print(lines[-1])
    show_table(
        "| images | 100 read on one core, s | on every core, s | cache built, s | its MiB | decoding, images/s |"
        " cached, images/s | gain |\n|---|---:|---:|---:|---:|---:|---:|---:|\n"
        + "\n".join(lines)
        + f"\n\nBest (median) of {arguments.rounds} rounds, {arguments.threads} threads; "
        f"{_precision()}; {cpu_name()}.",
        arguments.table,
    )
    return 0


def _precision() -> TrainingPrecision:
    return choose_precision("auto", torch.device("cpu"))


def _measured(data: LearningConfig, run: RunFolder, rounds: int, threads: int) -> str:
    assert data.root is not None
    decoding = open_data(data.data, data.root, size=(SIZE, SIZE)).train
    pictures = open_pictures(data)
    hundred = _Repeated(BoundedSamples(decoding, height=SIZE, width=SIZE), READ)
    reading = {
        processes: [_seconds(partial(_read, hundred, processes)) for _ in range(3)] for processes in (1, threads)
    }
    built = _seconds(lambda: run.do(check_stage(pictures, data)))
    cached = cached_pictures(pictures, run.path).train
    loops = [_training(samples, pictures.spec, threads) for samples in (decoding, cached)]
    rates: list[list[float]] = [[], []]
    for number in range(rounds):
        for slot in (0, 1) if number % 2 else (1, 0):
            rates[slot].append(STEPS * BATCH / _seconds(loops[slot]))
    mebibytes = sum(file.stat().st_size for file in (run.path / "cache").iterdir()) / 2**20
    gain = [choose(rates[1]) / choose(rates[0]) for choose in (max, statistics.median)]
    cells = [
        *(f"{min(seconds):.2f} ({statistics.median(seconds):.2f})" for seconds in reading.values()),
        f"{built:.1f}",
        f"{mebibytes:.0f}",
        *(f"{max(values):.1f} ({statistics.median(values):.1f})" for values in rates),
        f"{gain[0]:.2f} ({gain[1]:.2f})",
    ]
    return f"| {data.data} | " + " | ".join(cells) + " |"


def _read(samples: Samples, processes: int) -> None:
    for _ in read_in_order(samples, processes=processes):
        pass


def _training(samples: Samples, spec: ImageSpec, threads: int) -> Callable[[], None]:
    plan = BatchPlan(labelled=(STEPS + 2) * BATCH, transfer=0, batch_size=BATCH, seed=0)
    view = RandomView(height=spec.height, width=spec.width)
    batches = Batches(_Repeated(samples, plan.labelled), (), view=view, plan=plan, workers=1)
    learn = data_parallel_training("small_unet", {}, spec, threads, _precision())

    def loop() -> None:
        learn(islice(batches.epoch(0), STEPS))

    loop()  # warm-up
    return loop


class _Repeated:
    """Repeats a data set until it has `length` samples."""

    def __init__(self, samples: Samples, length: int) -> None:
        self.samples, self.length = samples, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index % len(self.samples)]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
