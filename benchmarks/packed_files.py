"""Compares packed ONNX files with the files they are made from: bits, bytes, latency and load time.

The script prunes by magnitude, clusters per tensor (after folding batch norm, as the commands do) or per channel,
exports fp32 and int8 (calibrated on scenes), packs, and compares in one process. The logits of 20 scenes must be
identical to the bit. Latencies are minima of interleaved predictions with one thread. As a control, a second session of
the dense file is timed, too: rounds continue until the two best turns of each file agree to 1 %, and both sessions of
the dense file as well. Exits with 1 if a logit differs, a file is not small enough (60 % zeros, 6 clusters: 10 times
for fp32, 2.5 for int8), or the median of three latency ratios is outside 0.95 to 1.05.

    python benchmarks/packed_files.py runs/scenes/student --table docs/explanation/packed.md
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
import torch
from marked_table import write_marked_table
from numpy.typing import NDArray
from torch import nn

from tf_bridge.onnx.export import export_onnx
from tf_bridge.packing.pack import pack_onnx
from torchseg.checkpoint import load_checkpoint
from torchseg.compress import (
    ClusterConfig,
    PruneConfig,
    Pruning,
    ScheduleConfig,
    cluster_weights,
    flush_subnormals,
    fold_batch_norm,
    strip_clustering,
)
from torchseg.data.datasets.scenes import CLASSES, Scenes
from torchseg.harness.host import cpu_name
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model, count_parameters
from torchseg.spec import ImageSpec

Images = NDArray[np.float32]
Per = Literal["tensor", "channel"]

PER: tuple[Per, ...] = ("tensor", "channel")
SETTINGS = ((0.6, 6), (0.8, 16))  # sparsity, clusters
TIMES_SMALLER = {(0.6, 6, Precision.FP32): 10.0, (0.6, 6, Precision.INT8): 2.5}
COMPARED, CALIBRATED = 20, 48  # number of images
RUNS = 3  # of the latency measurement, each with fresh sessions
AGREED = 0.01  # largest difference of the two best turns of a file, and of the dense file from itself
HEADER = (
    "| | dense bytes | packed bytes | times smaller | same bits | latency ratio, 3 runs | control | load ms | packed |",
    "|---|---:|---:|---:|---|---|---|---:|---:|",
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One dense file and its packed version."""

    name: str
    times_smaller: float
    dense_bytes: int
    packed_bytes: int
    same_bits: bool
    ratios: tuple[float, ...]  # packed over dense, one per run
    control: tuple[float, ...]  # dense over dense
    load_ms: tuple[float, float]  # dense, packed
    least: float  # required `times_smaller`

    @property
    def passed(self) -> bool:
        """Whether bits, size and latency are as required."""
        within = 0.95 <= statistics.median(self.ratios) <= 1.05
        return self.same_bits and within and self.times_smaller >= self.least


def main() -> int:
    arguments = _arguments()
    network, spec, source = _network(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for row in _rows(network, spec, Path(folder), range(arguments.rounds, arguments.max_rounds + 1)):
            rows.append(row)
            print(_line(row), flush=True)
    text = "\n".join([*_conditions(source, network, spec, arguments), "", *HEADER, *map(_line, rows)])
    if arguments.table:
        write_marked_table(arguments.table, arguments.name, text)
    failed = [row.name for row in rows if not row.passed]
    print(f"failed: {'; '.join(failed)}" if failed else "passed")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?", help="a trained network's folder; default: random weights")
    parser.add_argument("--model", default="small_unet", help="builder of the random network")
    parser.add_argument("--size", type=int, default=96, help="side of its images")
    parser.add_argument("--rounds", type=int, default=60, help="at least")
    parser.add_argument("--max_rounds", type=int, default=250)
    parser.add_argument("--table", type=Path, help="Markdown file with the markers of --name")
    parser.add_argument("--name", default="packed")
    return parser.parse_args()


def _network(arguments: argparse.Namespace) -> tuple[nn.Module, ImageSpec, str]:
    if arguments.checkpoint:
        network, card = load_checkpoint(arguments.checkpoint)
        return network, card.spec, f"`{card.builder}`, trained (stage {card.stage})"
    spec = ImageSpec(height=arguments.size, width=arguments.size, classes=CLASSES)
    network = build_model(arguments.model, {}, spec)
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):  # as after training: folding then scales each channel differently
            assert layer.running_mean is not None
            assert layer.running_var is not None
            for tensor in (layer.running_mean, layer.running_var, layer.weight.data, layer.bias.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network.eval(), spec, f"`{arguments.model}`, random weights"


def _rows(network: nn.Module, spec: ImageSpec, folder: Path, rounds: range) -> Iterator[Row]:
    calibration, images = (_pictures(part, count, spec) for part, count in (("train", CALIBRATED), ("test", COMPARED)))
    for precision in (Precision.FP32, Precision.INT8):
        for sparsity, clusters in SETTINGS:
            for per in PER:
                compressed = _compress(network, sparsity, clusters, per=per)
                path = folder / f"{sparsity}.{clusters}.{per}.{precision}.onnx"
                quantized = calibration if precision is Precision.INT8 else None
                export_onnx(compressed, spec, path, precision=precision, calibration=quantized)
                name = f"{precision}, {sparsity:.0%}, {clusters} clusters per {per}"
                least = TIMES_SMALLER.get((sparsity, clusters, precision), 1.0)
                yield _row(name, path, images, rounds=rounds, least=least)


def _pictures(part: str, count: int, spec: ImageSpec) -> Images:
    scenes = Scenes(part, height=spec.height, width=spec.width)
    return spec.prepare(np.stack([scenes[index].picture for index in range(count)]))


def _compress(network: nn.Module, sparsity: float, clusters: int, *, per: Per) -> nn.Module:
    """Prunes and clusters a copy without recovery, which affects neither size nor latency."""
    network = copy.deepcopy(network)
    plan = PruneConfig(sparsity=sparsity, schedule=ScheduleConfig(mode="one_shot"))
    Pruning(network, plan, epochs=1, steps_per_epoch=1).after_step(0, network)
    if per == "tensor":
        fold_batch_norm(network)
    cluster_weights(network, ClusterConfig(clusters=clusters, per=per))
    strip_clustering(network)
    flush_subnormals(network)
    return network


def _row(name: str, path: Path, images: Images, *, rounds: range, least: float) -> Row:
    packed = path.with_suffix(".packed.onnx")
    summary = pack_onnx(path, packed)
    dense_logits, packed_logits = (_logits(_session(each)[0], images) for each in (path, packed))
    runs = [_latencies(path, packed, images[:1], rounds) for _ in range(RUNS)]
    loads = [[_session(each)[1] for each in (path, packed)] for _ in range(15)]
    return Row(
        name=name,
        times_smaller=summary.times_smaller,
        dense_bytes=summary.source_bytes,
        packed_bytes=summary.target_bytes,
        same_bits=dense_logits == packed_logits,
        ratios=tuple(own / dense for dense, own, _ in runs),
        control=tuple(again / dense for dense, _, again in runs),
        load_ms=(min(dense for dense, _ in loads), min(own for _, own in loads)),
        least=least,
    )


def _session(path: Path) -> tuple[onnxruntime.InferenceSession, float]:
    """A session with one thread, and its load time in ms."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session, 1000 * (time.perf_counter() - started)


def _logits(session: onnxruntime.InferenceSession, images: Images) -> bytes:
    return b"".join(session.run(None, {"image": image[None]})[0].tobytes() for image in images)


def _latencies(dense: Path, packed: Path, image: Images, rounds: range) -> tuple[float, float, float]:
    """Minimum ms per prediction of dense, packed and dense again; three predictions per turn, order alternating."""
    sessions = [_session(path)[0] for path in (dense, packed, dense)]
    turns: list[list[float]] = [[], [], []]  # the fastest prediction of each turn
    for number in range(rounds[-1]):
        if number >= rounds[0] and _settled(turns):
            break
        for index in (0, 1, 2) if number % 2 == 0 else (2, 1, 0):
            sessions[index].run(None, {"image": image})  # warm-up: brings the weights back into the CPU cache
            turns[index].append(min(_milliseconds(sessions[index], image) for _ in range(3)))
    return min(turns[0]), min(turns[1]), min(turns[2])


def _milliseconds(session: onnxruntime.InferenceSession, image: Images) -> float:
    started = time.perf_counter()
    session.run(None, {"image": image})
    return 1000 * (time.perf_counter() - started)


def _settled(turns: list[list[float]]) -> bool:
    """Whether the two best turns of each file agree, and both sessions of the dense file."""
    best = [sorted(each)[:2] for each in turns]
    return all(second <= (1 + AGREED) * first for first, second in best) and (
        abs(best[2][0] / best[0][0] - 1) <= AGREED
    )


def _line(row: Row) -> str:
    def spread(values: tuple[float, ...]) -> str:
        return ", ".join(f"{value:.3f}" for value in sorted(values))

    cells = [row.name, f"{row.dense_bytes:,}", f"{row.packed_bytes:,}", f"{row.times_smaller:.1f}"]
    cells += ["yes" if row.same_bits else "no", spread(row.ratios), spread(row.control)]
    return "| " + " | ".join([*cells, *(f"{each:.0f}" for each in row.load_ms)]) + " |"


def _conditions(source: str, network: nn.Module, spec: ImageSpec, arguments: argparse.Namespace) -> list[str]:
    return [
        f"{source}, {count_parameters(network):,} parameters, {spec.width}x{spec.height}, pruned by magnitude and",
        "clustered without recovery.",
        f"ONNX Runtime {onnxruntime.__version__}, 1 thread, {cpu_name()}; minima of at least",
        f"{arguments.rounds} rounds of 3.",
    ]


if __name__ == "__main__":
    sys.exit(main())
