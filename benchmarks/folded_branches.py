"""Measures how much folding the branches of `multiscale_unet` saves in each runtime; one thread, interleaved.

python benchmarks/folded_branches.py --size 128 --rounds 10
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
from pathlib import Path

import numpy as np
from torch import nn

from tf_bridge.onnx.export import export_onnx
from tf_bridge.tflite.export import export_tflite
from torchseg.checkpoint import Card, save_checkpoint
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.latency import Latency, LatencyConfig, measure_latency
from torchseg.models import build_model, fold_branches, multiply_adds
from torchseg.spec import ImageSpec

RUNTIMES = {"torch": "torch", "onnxruntime": "net.onnx", "openvino": "net.onnx", "litert": "net.tflite"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    spec = ImageSpec(height=arguments.size, width=arguments.size, classes=("a", "b", "c", "d", "e"))
    config = LatencyConfig(rounds=arguments.rounds, max_rounds=arguments.rounds, budget_s=600)
    branched = build_model("multiscale_unet", {}, spec).eval()
    folded = copy.deepcopy(branched)
    fold_branches(folded)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for network, layers in ((branched, "branched"), (folded, "plain")):
            _write(network, layers, spec, folder / layers)
        names = [(layers, runtime) for runtime in RUNTIMES for layers in ("branched", "plain")]
        processes = [RuntimeProcess(folder / layers / RUNTIMES[runtime], name=runtime) for layers, runtime in names]
        try:
            for process in processes:
                process.load()
            image = np.random.default_rng(0).standard_normal((1, 3, spec.height, spec.width)).astype(np.float32)
            found = dict(zip(names, measure_latency(processes, [image] * len(processes), config), strict=True))
        finally:
            for process in processes:
                process.close()
    print(f"multiply-adds {multiply_adds(branched, spec):,} branched, {multiply_adds(folded, spec):,} folded")
    for runtime in RUNTIMES:
        before, after = found["branched", runtime], found["plain", runtime]
        if not isinstance(before, Latency) or not isinstance(after, Latency):
            print(f"{runtime}: {before} / {after}")
            return 1
        print(
            f"{runtime:12} branched min {before.min_ms:6.1f} median {before.median_ms:6.1f} ms   "
            f"folded min {after.min_ms:6.1f} median {after.median_ms:6.1f} ms   "
            f"ratio {before.min_ms / after.min_ms:.2f} ({before.median_ms / after.median_ms:.2f})"
        )
    return 0


def _write(network: nn.Module, layers: str, spec: ImageSpec, folder: Path) -> None:
    card = Card(builder="multiscale_unet", arguments={"layers": layers}, spec=spec, stage="teacher")
    save_checkpoint(network, card, folder / "torch")
    export_onnx(network, spec, folder / "net.onnx")
    export_tflite(network, spec, folder / "net.tflite")


if __name__ == "__main__":
    sys.exit(main())
