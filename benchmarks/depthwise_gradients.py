"""Times training steps of networks with depthwise convolutions in bfloat16, with and without this project's gradients.

Steps alternate; the output shows the minimum and the median of each, and their ratio.

    python benchmarks/depthwise_gradients.py --size 256 --rounds 8
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from contextlib import nullcontext

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train.depthwise import FastDepthwiseGradients

NETWORKS = ("lite_student", "smp:Unet:tu-tf_efficientnet_lite0", "smp:Unet:tu-tf_efficientnet_lite2")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="height and width of the images")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    spec = ImageSpec(height=arguments.size, width=arguments.size, classes=("a", "b", "c"))
    for name in NETWORKS:
        network = build_model(name, {}, spec).train()
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = torch.randn(arguments.batch, 3, arguments.size, arguments.size)
        images = images.contiguous(memory_format=torch.channels_last)
        masks = torch.randint(0, 3, (arguments.batch, arguments.size, arguments.size))
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for number in range(arguments.rounds + 1):  # the first warms up
            for fast in (True, False) if number % 2 else (False, True):
                seconds[fast].append(_step(network, images, masks, fast=fast))
        print(name)
        for fast, label in ((False, "PyTorch's"), (True, "ours")):
            least, median = min(seconds[fast][1:]), statistics.median(seconds[fast][1:])
            print(f"  {label:9}  minimum {1e3 * least:7.1f}  median {1e3 * median:7.1f} ms a step")
        print(f"  ratio      minimum {min(seconds[False][1:]) / min(seconds[True][1:]):7.2f}")
    return 0


def _step(network: nn.Module, images: torch.Tensor, masks: torch.Tensor, *, fast: bool) -> float:
    """Seconds of a forward and a backward pass."""
    started = time.perf_counter()
    with (
        torch.autocast("cpu", torch.bfloat16, cache_enabled=False),
        FastDepthwiseGradients() if fast else nullcontext(),
    ):
        logits = network(images)
    cross_entropy(logits.float(), masks).backward()  # type: ignore[no-untyped-call]
    network.zero_grad()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
