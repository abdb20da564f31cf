"""Measures how much faster channel pruning makes the teacher, and what it costs in mean IoU without recovery.

Exports the attention teacher and its pruned copy to TFLite fp32 and times them alternately with one thread, three times
with fresh processes. Weights do not affect latency, so they are random unless a checkpoint is given. For a checkpoint
trained on scenes, the script also scores the pruned teacher with each importance, without further training. Exits with
1 if pruning half the channels removes less than 70 % of the multiply-adds or is less than 2.5 times faster.

    python benchmarks/channel_pruned_teacher.py runs/scenes/teacher --table results/channel_pruned_teacher.md
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from show_table import show_table
from torch import Tensor, nn

from tf_bridge.tflite.export import export_tflite
from torchseg.checkpoint import load_checkpoint
from torchseg.compress import ChannelPruneConfig, prune_channels
from torchseg.compress.channel_pruning import Importance
from torchseg.data import HeldSamples
from torchseg.data.datasets.scenes import CLASSES, scenes
from torchseg.harness.host import cpu_name
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.latency import Latency, LatencyConfig, measure_latency
from torchseg.losses import segmentation_loss
from torchseg.models import build_model, count_parameters, multiply_adds
from torchseg.spec import ImageSpec
from torchseg.train import evaluate

SHARE, LOST, FASTER, RUNS = 0.5, 0.7, 2.5, 3
SHARES = (0.25, 0.5)
IMPORTANCES: tuple[Importance, ...] = ("magnitude", "batch_norm", "taylor")
TAYLOR_PICTURES = 32  # for the loss of the Taylor importance


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Minimum latencies of one run, in ms."""

    whole_ms: float
    pruned_ms: float

    @property
    def times_faster(self) -> float:
        """Latency of the whole network over that of the pruned one."""
        return self.whole_ms / self.pruned_ms


def main() -> int:
    arguments = _arguments()
    spec = ImageSpec(height=arguments.size, width=arguments.size, classes=CLASSES)
    teacher = build_model("attention_unet", {}, spec).eval()
    if arguments.checkpoint:
        teacher, card = load_checkpoint(arguments.checkpoint)
        spec = replace(card.spec, height=arguments.size, width=arguments.size)
    image = torch.zeros(1, spec.channels, spec.height, spec.width)
    pruned = prune_channels(teacher, image, ChannelPruneConfig(share=SHARE)).model
    lost = 1 - multiply_adds(pruned, spec) / multiply_adds(teacher, spec)
    lines = [*_size_lines(teacher, pruned, spec), ""]
    speeds = _speeds(teacher, pruned, spec, arguments.rounds)
    lines += _speed_lines(speeds, spec, arguments.rounds)
    if arguments.checkpoint:
        lines += ["", *_accuracy_lines(teacher, card.spec)]
    show_table("\n".join(["# The teacher with half its channels", "", *lines]), arguments.table)
    return 0 if lost >= LOST and statistics.median(each.times_faster for each in speeds) >= FASTER else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?", help="a teacher trained on scenes; default: random weights")
    parser.add_argument("--size", type=int, default=256, help="side of the images that are timed")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    return parser.parse_args()


def _size_lines(teacher: nn.Module, pruned: nn.Module, spec: ImageSpec) -> list[str]:
    whole, narrow = multiply_adds(teacher, spec), multiply_adds(pruned, spec)
    return [
        f"Attention U-Net, depth 3, width 32, {spec.width}x{spec.height}; {SHARE:.0%} of the channels removed.",
        f"Multiply-adds {whole / 1e9:.2f} G to {narrow / 1e9:.2f} G ({1 - narrow / whole:.1%} fewer), parameters "
        f"{count_parameters(teacher):,} to {count_parameters(pruned):,}.",
    ]


def _speeds(teacher: nn.Module, pruned: nn.Module, spec: ImageSpec, rounds: int) -> list[Speed]:
    image = np.random.default_rng(0).standard_normal((1, spec.channels, spec.height, spec.width)).astype(np.float32)
    config = LatencyConfig(rounds=rounds, max_rounds=3 * rounds, budget_s=60)
    speeds = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "whole.tflite", Path(folder) / "pruned.tflite"]
        for network, path in zip((teacher, pruned), paths, strict=True):
            export_tflite(network, spec, path)
        for _ in range(RUNS):
            processes = [RuntimeProcess(path, threads=config.threads) for path in paths]
            try:
                for process in processes:
                    process.load()
                results = measure_latency(processes, [image] * len(processes), config)
            finally:
                for process in processes:
                    process.close()
            whole, narrow = (each for each in results if isinstance(each, Latency))
            speeds.append(Speed(whole_ms=whole.min_ms, pruned_ms=narrow.min_ms))
    return speeds


def _speed_lines(speeds: list[Speed], spec: ImageSpec, rounds: int) -> list[str]:
    return [
        f"TFLite fp32, one thread, {cpu_name()}; minima of at least {rounds} alternating rounds of 3:",
        "",
        "| run | whole ms | pruned ms | times faster |",
        "|---:|---:|---:|---:|",
        *(
            f"| {number} | {each.whole_ms:.1f} | {each.pruned_ms:.1f} | {each.times_faster:.2f} |"
            for number, each in enumerate(speeds, start=1)
        ),
    ]


def _accuracy_lines(teacher: nn.Module, spec: ImageSpec) -> list[str]:
    """Lines with the mean IoU on the test split for each importance and share, without recovery."""
    data = scenes(spec.height, spec.width)
    test = HeldSamples(data.test)
    samples = [data.train[index] for index in range(TAYLOR_PICTURES)]
    images = torch.from_numpy(spec.prepare(np.stack([each.picture for each in samples])))
    masks = torch.from_numpy(np.stack([each.mask for each in samples]))

    def loss(network: nn.Module) -> Tensor:
        return segmentation_loss(network(images), masks, ignore_index=spec.ignore_index)

    lines = [
        f"Mean IoU in % on the test split of scenes at {spec.width}x{spec.height}, nothing trained afterwards; Taylor",
        f"importance from the loss on {TAYLOR_PICTURES} training images. The whole teacher has "
        f"{100 * evaluate(teacher, test, spec).miou:.1f}.",
        "",
        f"| share removed | {' | '.join(IMPORTANCES)} |",
        "|---:|" + "---:|" * len(IMPORTANCES),
    ]
    for share in SHARES:
        cells = []
        for importance in IMPORTANCES:
            config = ChannelPruneConfig(share=share, importance=importance)
            pruned = prune_channels(teacher, images[:1], config, loss=loss).model
            cells.append(f"{100 * evaluate(pruned, test, spec).miou:.1f}")
        lines.append(f"| {share} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
