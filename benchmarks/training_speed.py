"""Compares images per second of this project's training with a plain float32 NCHW loop, including data loading.

The plain loop is that of a tutorial: it opens and augments each image in the training process, in float32 with channels
first. Both train the default teacher at 128x128 on the same JPEG files. Runs alternate; the output shows the best and
the median of each.

    python benchmarks/training_speed.py --rounds 5 --training_precision fp32
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from data_parallel_training import data_parallel_training
from PIL import Image

from torchseg.data import Batches, BatchPlan, HeldSamples, RandomView
from torchseg.data.datasets.scenes import CLASSES, draw_scene
from torchseg.data.file_samples import FileSamples
from torchseg.losses import segmentation_loss
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train import TrainingPrecision, choose_precision, normalise

SIZE, BATCH, STEPS = 128, 16, 3
SPEC = ImageSpec(height=SIZE, width=SIZE, classes=CLASSES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--training_precision", choices=["auto", "fp32", "bf16"], default="auto")
    arguments = parser.parse_args()
    precision = choose_precision(arguments.training_precision, torch.device("cpu"))
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        samples = _photos(Path(folder))
        loops = {"plain": _plain(samples), "ours": _ours(samples, arguments.threads, precision)}
        rates: dict[str, list[float]] = {name: [] for name in loops}
        for loop in loops.values():
            loop()  # warm-up
        for number in range(arguments.rounds):
            for name, loop in list(loops.items())[:: 1 if number % 2 else -1]:
                started = time.perf_counter()
                loop()
                rates[name].append(STEPS * BATCH / (time.perf_counter() - started))
    print(f"{precision}, {arguments.threads} threads, {SIZE}x{SIZE}, batch {BATCH}, {arguments.rounds} rounds")
    for name, values in rates.items():
        print(f"{name:6} best {max(values):6.2f}  median {statistics.median(values):6.2f} images/s")
    best, median = (choose(rates["ours"]) / choose(rates["plain"]) for choose in (max, statistics.median))
    print(f"ratio  best {best:6.2f}  median {median:6.2f}")
    return 0


def _photos(folder: Path) -> FileSamples:
    """Writes generated scenes of 340x256 pixels as JPEG files."""
    pairs = []
    for number in range(64):
        picture, mask = draw_scene(256, 340, np.random.default_rng(number))
        pair = (folder / f"{number}.jpg", folder / f"{number}.png")
        Image.fromarray(picture).save(pair[0], quality=92)
        Image.fromarray(mask).save(pair[1])
        pairs.append(pair)
    return FileSamples(pairs, classes=CLASSES)


def _plain(samples: FileSamples) -> Callable[[], None]:
    model = build_model("attention_unet", {}, SPEC).train()
    optimizer = torch.optim.AdamW(model.parameters())
    view = RandomView(height=SIZE, width=SIZE)

    def loop() -> None:
        for step in range(STEPS):
            views = [view(samples[(step * BATCH + slot) % len(samples)], seed=slot) for slot in range(BATCH)]
            images = normalise(torch.stack([picture for picture, _ in views]), SPEC).contiguous()
            masks = torch.stack([mask for _, mask in views])
            loss = segmentation_loss(model(images), masks, ignore_index=255)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return loop


def _ours(samples: FileSamples, threads: int, precision: TrainingPrecision) -> Callable[[], None]:
    held = HeldSamples(samples)
    for index in range(len(held)):
        _ = held[index]
    plan = BatchPlan(labelled=STEPS * BATCH, transfer=0, batch_size=BATCH, seed=0)
    batches = Batches(held, (), view=RandomView(height=SIZE, width=SIZE), plan=plan, workers=1)
    learn = data_parallel_training("attention_unet", {}, SPEC, threads, precision)
    return lambda: learn(batches.epoch(0))


if __name__ == "__main__":
    sys.exit(main())
