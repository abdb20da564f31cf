"""Runs everything that the commands do on a GPU, and compares the losses with those of the CPU.

    python benchmarks/gpu_check.py               # needs one GPU; takes under five minutes
    python benchmarks/gpu_check.py --device cpu  # a tiny version, which tests the check itself

Exits with 1 if a command fails, a weight is not finite, a file lacks a certificate that passes, a resumed training ends
with other weights, or a loss differs from that of the CPU; with 2 if there is no GPU.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from torchseg.__main__ import main as torchseg
from torchseg.data.datasets.scenes import CLASSES, draw_scene
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train.callback import NoCallback
from torchseg.train.state import Progress, load_progress, save_progress

TOLERANCE = (
    0.01  # of a loss after a few steps: the first steps of AdamW follow the sign of a gradient, however small it is
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much the check does.

    Attributes:
        epochs: of each training in the chain.
        pictures: number of images for the speed measurement.
        side: height and width of these images, in pixels.
        batch: batch size of the speed measurement.
        workers: processes that read the images.
    """

    epochs: int
    pictures: int
    side: int
    batch: int
    workers: int


SIZES = {
    "cuda": Size(epochs=20, pictures=512, side=256, batch=32, workers=8),
    "cpu": Size(epochs=3, pictures=40, side=32, batch=8, workers=0),
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=list(SIZES), default="cuda")
    device = parser.parse_args(argv).device
    if device == "cuda" and not torch.cuda.is_available():
        print("error: PyTorch finds no GPU that it can use here; give --device cpu to try the check", file=sys.stderr)
        return 2
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        problems = [*_chain(Path(folder), device), *_resumed(Path(folder), device), *_losses(Path(folder), device)]
        rates = {precision: _rate(Path(folder), device, precision) for precision in ("fp32", "bf16")}
    print(f"\n{torch.cuda.get_device_name() if device == 'cuda' else 'CPU'}, PyTorch {torch.__version__}")
    for precision, rate in rates.items():
        print(f"attention_unet, {SIZES[device].side} pixels, {precision}: {rate:.1f} images per second")
    print(f"{time.monotonic() - started:.0f} s")
    for problem in problems:
        print(f"FAILED: {problem}")
    return int(bool(problems))


def _chain(folder: Path, device: str) -> Iterator[str]:
    """Runs all trainings and exports; yields every problem of the checkpoints and files that they write."""
    run, size = folder / "chain", SIZES[device]
    epochs = str(size.epochs)
    # Batches of 4 make an epoch of 8 steps, so that a few epochs contain a whole pruning schedule.
    common = ["--device", device, "--batch_size", "4", "--image_size", "64" if device == "cuda" else "32"]
    lengths = ["--teacher_epochs", epochs, "--epochs", epochs, "--prune_epochs", epochs, "--cluster_epochs", epochs]
    files = ["--formats", "onnx,tflite", "--precisions", "fp32,int8"]
    yield from _command("distill", *common, *lengths, *files, "--out", str(run))
    shorter = [
        "--channel_sparsity",
        "0.5",
        "--importance",
        "taylor",
        "--channel_epochs",
        epochs,
        "--sparsity",
        "0",
        "--clusters",
        "null",
    ]
    yield from _command("compress", str(run / "student"), "--device", device, *shorter)
    int8 = ["--qat_epochs", "1", "--formats", "onnx", "--precisions", "int8", "--device", device]
    yield from _command("export", str(run / "student"), *int8)
    checkpoints, made = sorted(run.rglob("model.safetensors")), sorted(run.rglob("artifacts/*.*.*[xe]"))
    print(f"{len(checkpoints)} networks, {len(made)} files")
    if len(checkpoints) < 6 or len(made) < 8:
        yield f"there are {len(checkpoints)} networks and {len(made)} files; expected 6 and 8 at least"
    for path in checkpoints:
        if not all(tensor.isfinite().all() for tensor in load_file(path).values()):
            yield f"{path.relative_to(folder)} holds weights that are not finite"
    for path in made:
        certificate = path.with_name(f"{path.name}.json")
        if not certificate.is_file() or not json.loads(certificate.read_text(encoding="utf-8"))["verdict"]["passed"]:
            yield f"{path.relative_to(folder)} has no certificate that holds"


def _resumed(folder: Path, device: str) -> Iterator[str]:
    """Saves a training after one step and resumes it; yields a problem if the weights at the end differ."""
    networks, spec = [], ImageSpec(height=32, width=32, classes=CLASSES)
    for _ in range(2):
        network = build_model("unet", {}, spec, seed=0).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)
        progress = load_progress(folder, network, optimizer, callback=NoCallback())
        networks.append(network)
        for step in range(progress.epoch, 2):
            network(torch.ones(2, 3, 32, 32, device=device)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            if step == 0:
                save_progress(folder, Progress(epoch=1), network, optimizer, callback=NoCallback())
    if not all(torch.allclose(*pair) for pair in zip(*(each.parameters() for each in networks), strict=True)):
        yield "a training that was interrupted ends with other weights"


def _losses(folder: Path, device: str) -> Iterator[str]:
    """Trains a few steps in float32 on both devices; yields a problem if the losses differ."""
    tf32 = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False  # TF32 has three digits fewer: fine for training, not for comparison
    found = {}
    for where in dict.fromkeys(("cpu", device)):
        flags = ["--image_size", "32", "--epochs", "2", "--workers", "0", "--micro_batches", "1"]
        yield from _train(folder / f"losses-{where}", where, "fp32", *flags)
        found[where] = [float(row["train_loss"]) for row in _curve(folder / f"losses-{where}")]
    torch.backends.cudnn.allow_tf32 = tf32
    print(
        "losses: "
        + "; ".join(f"{where} {', '.join(f'{loss:.6f}' for loss in losses)}" for where, losses in found.items())
    )
    if not np.allclose(found[device], found["cpu"], rtol=TOLERANCE):
        yield f"the losses on {device} are {found[device]}, and {found['cpu']} on the CPU"


def _rate(folder: Path, device: str, precision: str) -> float:
    """Images per second of the best epoch, including loading."""
    size, root = SIZES[device], folder / "photos"
    if not root.is_dir():
        _draw(root, size)
    out = folder / f"rate-{precision}"
    data = ["--data", "folder", "--root", str(root), "--image_size", str(size.side), "--batch_size", str(size.batch)]
    problems = [*_train(out, device, precision, *data, "--epochs", "4", "--workers", str(size.workers))]
    if problems:
        return 0.0
    rows = _curve(out)
    return max(size.batch * int(rows[0]["step"]) / float(row["seconds"]) for row in rows)


def _draw(root: Path, size: Size) -> None:
    """Writes generated scenes as a data set on disk."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
    for number in range(size.pictures):
        picture, mask = draw_scene(size.side, size.side, np.random.default_rng(number))
        Image.fromarray(picture).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")


def _train(out: Path, device: str, precision: str, *flags: str) -> Iterator[str]:
    where = ["--device", device, "--training_precision", precision, "--out", str(out)]
    return _command("train", *where, *flags)


def _command(name: str, *flags: str) -> Iterator[str]:
    print(f"\n$ torchseg {name} {' '.join(flags)}", flush=True)
    if code := torchseg([name, *flags]):
        yield f"torchseg {name} ended with {code}"


def _curve(run: Path) -> list[dict[str, str]]:
    with (run / "trained/curves.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    sys.exit(main())
