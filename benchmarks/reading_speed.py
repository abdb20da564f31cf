"""Seconds that a reader takes for 100 pictures, and pictures a second of training with and without the cache.

Training is the default student at 128x128, batch 8, one worker as in the commands. `decoding` opens each picture every
time; `cached` reads what the run folder keeps. Runs alternate; the table shows minima and medians.

    python benchmarks/reading_speed.py oxford-pet=FOLDER camvid=FOLDER aerial=FOLDER --rounds 5
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from lightning_fabric import Fabric

from torchseg.config import DataConfig
from torchseg.data import Batches, BatchPlan, RandomView, Samples, open_data
from torchseg.models import build_model
from torchseg.pipeline.pictures import cached_pictures, check_stage, open_pictures
from torchseg.pipeline.run_folder import RunFolder
from torchseg.spec import ImageSpec
from torchseg.train import label_step, normalise, training_precision

SIZE, BATCH, STEPS, READ = 128, 8, 20, 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="NAME=FOLDER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{training_precision()}, {arguments.threads} threads, {SIZE}x{SIZE}, batch {BATCH}, best (median)")
    for entry in arguments.data:
        name, _, folder = entry.partition("=")
        raw = open_data(name, Path(folder), size=(SIZE, SIZE))
        seconds = [_seconds(lambda part=raw.train: [part[i % len(part)] for i in range(READ)]) for _ in range(3)]
        print(f"{name:12} reading {READ} pictures {min(seconds):.2f} ({statistics.median(seconds):.2f}) s")
        with tempfile.TemporaryDirectory() as run:
            _compare(name, Path(folder), raw.train, RunFolder(Path(run)), rounds=arguments.rounds)
    return 0


def _compare(name: str, root: Path, decoding: Samples, run: RunFolder, *, rounds: int) -> None:
    pictures = open_pictures(DataConfig(data=name, root=root, image_size=str(SIZE)))
    started = time.perf_counter()
    run.do(check_stage(pictures))
    built = time.perf_counter() - started
    cached = cached_pictures(pictures, run.path).train
    loops = {
        f"{kind}, {workers} workers": _training(samples, pictures.spec, workers=workers)
        for kind, samples in (("decoding", decoding), ("cached", cached))
        for workers in (0, 1)
    }
    rates: dict[str, list[float]] = {kind: [] for kind in loops}
    for number in range(rounds):
        for kind, loop in list(loops.items())[:: 1 if number % 2 else -1]:
            rates[kind].append(STEPS * BATCH / _seconds(loop))
    size = sum(file.stat().st_size for file in (run.path / "cache").iterdir()) / 2**20
    print(f"{name:12} cache of all parts: {size:.0f} MiB in {built:.1f} s")
    for kind, values in rates.items():
        print(f"{name:12} {kind:20} {max(values):6.1f} ({statistics.median(values):6.1f}) pictures/s")


def _training(samples: Samples, spec: ImageSpec, *, workers: int) -> Callable[[], None]:
    fabric = Fabric(precision=training_precision(), devices=1)
    model = build_model("small_unet", {}, spec).train().to(memory_format=torch.channels_last)
    model, optimizer = fabric.setup(model, torch.optim.AdamW(model.parameters(), fused=True))
    plan = BatchPlan(labelled=(STEPS + 2) * BATCH, transfer=0, batch_size=BATCH, seed=0)
    view = RandomView(height=spec.height, width=spec.width)
    batches = Batches(_Repeated(samples, plan.labelled), (), view=view, plan=plan, workers=workers)
    step = label_step(ignore_index=spec.ignore_index)

    def loop() -> None:
        for batch in islice(batches.epoch(0), STEPS):
            loss = step(model, normalise(batch.pictures, spec), batch)
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()

    loop()  # warm-up
    return loop


class _Repeated:
    """As many samples as the benchmark wants, whatever the size of the data set."""

    def __init__(self, samples: Samples, length: int) -> None:
        self.samples, self.length = samples, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int):  # noqa: ANN204
        return self.samples[index % len(self.samples)]


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
