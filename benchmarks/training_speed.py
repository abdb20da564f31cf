"""Pictures a second of this project's training against a plain float32 NCHW loop, data loading included in both.

The plain loop is what a tutorial does: it opens and augments each picture in the training process, in float32
with channels first. Both train the default teacher at 128x128 on the same JPEG files; runs alternate, and the table
shows minima and medians.

    python benchmarks/training_speed.py --rounds 5
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
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor, nn

from torchseg.data import Batch, Batches, BatchPlan, HeldSamples, RandomView
from torchseg.data.file_samples import FileSamples
from torchseg.data.scenes import CLASSES, draw_scene
from torchseg.losses import segmentation_loss
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train import label_step, normalise, training_precision
from torchseg.train.halves import Halves, twin
from torchseg.train.side_by_side import side_by_side

SIZE, BATCH, STEPS = 128, 16, 3
SPEC = ImageSpec(height=SIZE, width=SIZE, classes=CLASSES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        samples = _photos(Path(folder))
        loops = {"plain": _plain(samples), "ours": _ours(samples)}
        rates: dict[str, list[float]] = {name: [] for name in loops}
        for loop in loops.values():
            loop()  # warm-up
        for number in range(arguments.rounds):
            for name, loop in list(loops.items())[:: 1 if number % 2 else -1]:
                started = time.perf_counter()
                loop()
                rates[name].append(STEPS * BATCH / (time.perf_counter() - started))
    print(
        f"{training_precision()}, {arguments.threads} threads, {SIZE}x{SIZE}, batch {BATCH}, {arguments.rounds} rounds"
    )
    for name, values in rates.items():
        print(f"{name:6} best {max(values):6.2f}  median {statistics.median(values):6.2f} pictures/s")
    best, median = (choose(rates["ours"]) / choose(rates["plain"]) for choose in (max, statistics.median))
    print(f"ratio  best {best:6.2f}  median {median:6.2f}")
    return 0


def _photos(folder: Path) -> FileSamples:
    """Generated scenes as JPEG files of a photo's size."""
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
            loss.backward()
            optimizer.step()

    return loop


def _ours(samples: FileSamples) -> Callable[[], None]:
    fabric = Fabric(accelerator="cpu", precision=training_precision(), devices=1)
    network = build_model("attention_unet", {}, SPEC).train().to(memory_format=torch.channels_last)
    model, optimizer = fabric.setup(network, torch.optim.AdamW(network.parameters(), fused=True))
    other = fabric.setup_module(twin(network))
    held = HeldSamples(samples)
    for index in range(len(held)):
        _ = held[index]
    plan = BatchPlan(labelled=STEPS * BATCH, transfer=0, batch_size=BATCH, seed=0)
    batches = Batches(held, (), view=RandomView(height=SIZE, width=SIZE), plan=plan, workers=1)
    step = label_step(ignore_index=255)

    def loss(part: nn.Module, batch: Batch) -> Tensor:
        return step(part, normalise(batch.pictures, SPEC), batch)

    def loop() -> None:
        with side_by_side(2) as pool:
            halves = Halves([model, other], fabric.backward, pool.map)
            for batch in batches.epoch(0):
                optimizer.zero_grad()
                halves.learn(loss, batch)
                optimizer.step()

    return loop


if __name__ == "__main__":
    sys.exit(main())
