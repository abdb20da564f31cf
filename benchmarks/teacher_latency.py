"""Times the default teacher at 256x256 at every precision and in each runtime; one thread, all files interleaved.

The teacher is trained for 24 steps first: which tensors an int8 file may copy instead of requantizing depends on value
ranges, and these depend on the weights.

The main number is the ratio of the minimum to that of the fp32 file of the same format: it shows how much a precision
gains on this CPU. Run the script on an idle machine.

python benchmarks/teacher_latency.py --rounds 8
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from prepared_network import arrays, prepared_network

from tf_bridge.conversion import Conversion
from torchseg.checkpoint import Card, save_checkpoint
from torchseg.config import DataConfig
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.latency import Latency, LatencyConfig, measure_latency
from torchseg.modelfile.kinds import FORMATS
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.run.dataset import open_pictures

# Target ratios to fp32 of the same format on a CPU with AVX512-VNNI.
AIMS = {"int8.tflite": 0.32, "dynamic.tflite": 0.42, "int8.onnx": 0.36}


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
    times: dict[str, float] = {}
    for path, result in zip(paths, results, strict=True):
        if not isinstance(result, Latency):
            print(f"{path.name:15} failed: {result}")
            return 1
        times[path.name] = result.min_ms
        print(
            f"{path.name:15} min {result.min_ms:7.1f} ms  median {result.median_ms:7.1f} ms{_ratio(path.name, times)}"
        )
    return 0


def _ratio(name: str, times: dict[str, float]) -> str:
    if "." not in name:
        return ""
    ratio = times[name] / times[f"fp32.{name.split('.')[1]}"]
    aim = f", aim {AIMS[name]}: {'held' if ratio <= AIMS[name] else 'missed'}" if name in AIMS else ""
    return f"  {ratio:.3f} of fp32{aim}"


def _files(name: str, folder: Path) -> list[Path]:
    pictures = open_pictures(DataConfig(data="scenes", image_size="256"))
    model = prepared_network(name, {}, pictures, steps=24)
    spec = pictures.spec
    save_checkpoint(model, Card(builder=name, spec=spec, stage="teacher"), folder / "torch")
    images, _ = arrays(pictures.train, spec, 16)
    conversion = Conversion(model, spec)
    started = time.monotonic()
    files = [folder / f"{precision}.{kind}" for precision in Precision for kind in FORMATS]
    for path in files:
        conversion.write(path, precision=Precision(path.stem), calibration=images)
        print(f"{path.name:15} written after {time.monotonic() - started:5.1f} s")
    return [folder / "torch", *files]


if __name__ == "__main__":
    sys.exit(main())
