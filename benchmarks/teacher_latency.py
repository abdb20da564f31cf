"""The default teacher at 256x256 in each runtime, one thread, interleaved: is the bridge's TFLite as fast as ONNX?

python benchmarks/teacher_latency.py --rounds 8
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from tf_bridge.onnx_export import export_onnx
from tf_bridge.tflite_export import export_tflite
from torchseg.checkpoint import Card, save_checkpoint
from torchseg.harness.latency import Latency, LatencyConfig, measure_latency
from torchseg.harness.process import RuntimeProcess
from torchseg.models import build_model
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=256, width=256, classes=("a", "b", "c", "d", "e"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--model", default="attention_unet")
    arguments = parser.parse_args()
    config = LatencyConfig(rounds=arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        paths = _files(arguments.model, Path(folder))
        processes = [RuntimeProcess(path, threads=config.threads) for path in paths]
        try:
            for process in processes:
                process.load()
            image = np.random.default_rng(0).standard_normal((1, 3, 256, 256)).astype(np.float32)
            results = measure_latency(processes, [image] * len(processes), config)
        finally:
            for process in processes:
                process.close()
    for path, result in zip(paths, results, strict=True):
        if not isinstance(result, Latency):
            print(f"{path.name:12} failed: {result}")
            return 1
        print(f"{path.name:12} min {result.min_ms:7.1f} ms  median {result.median_ms:7.1f} ms")
    return 0


def _files(name: str, folder: Path) -> list[Path]:
    model = build_model(name, {}, SPEC).eval()
    save_checkpoint(model, Card(builder=name, spec=SPEC, stage="teacher"), folder / "torch")
    export_onnx(model, SPEC, folder / "fp32.onnx")
    export_tflite(model, SPEC, folder / "fp32.tflite")
    return [folder / "torch", folder / "fp32.onnx", folder / "fp32.tflite"]


if __name__ == "__main__":
    sys.exit(main())
