"""Compares clustering error and time with TensorFlow's Model Optimization toolkit.

The toolkit needs an environment of its own; create it once and pass its Python:

    python3 -m venv peer && peer/bin/pip install -r benchmarks/clustering_peer.txt
    python benchmarks/clustering_peer.py --peer peer/bin/python --table results/clustering_peer.md

Both sides get the same weights with the same zeros, and keep the zeros. The toolkit counts the zero among its k values
and this project does not, so each row has two errors of this project: with as many values as the peer, zero included,
and with the same setting k. Exits with 1 if the first of these errors is larger than the peer's in any row.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from show_table import show_table
from torch import nn

from torchseg.compress import ClusterConfig, cluster_weights, strip_clustering
from torchseg.compress.codebook import Start
from torchseg.harness.host import cpu_name
from torchseg.models import build_model
from torchseg.plural import counted
from torchseg.spec import ImageSpec

Weights = dict[str, NDArray[np.float32]]  # by name, in HWIO layout as in TensorFlow

SPARSITY = 0.6
FEWEST = 100  # nonzero weights of a tensor: the peer's kmeans++ fails if there are fewer than clusters
STARTS: dict[Start, str] = {
    "linear": "LINEAR",
    "density": "DENSITY_BASED",
    "kmeans++": "KMEANS_PLUS_PLUS",
    "optimal": "",
}
PACKAGES = ("tensorflow-model-optimization", "tf-keras", "tensorflow")
HEADER = (
    "| weights | k | start | MSE peer | MSE ours | ours / peer | tensors where ours is at most the peer's | "
    "MSE ours, zero not counted | s peer | s ours |",
    "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|",
)
WORKER = Path(__file__).with_name("clustering_peer_worker.py")


@dataclass(frozen=True, kw_only=True)
class Result:
    """Result of one side."""

    error: float  # mean squared error over all weights, including zeros
    errors: tuple[float, ...]  # mean squared error of each tensor
    seconds: float  # process time of the fastest repeat


@dataclass(frozen=True, kw_only=True)
class Row:
    """One setting on both sides; the peer has no `optimal` start."""

    draw: str
    clusters: int
    start: Start
    peer: Result | None
    as_many: Result  # this project, with as many values as the peer
    same_k: Result  # this project, with the same setting k


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    rows: list[Row] = []
    for draw in arguments.draws.split(","):
        weights = layer_set(arguments.seed, draw)
        for clusters in (int(each) for each in arguments.clusters.split(",")):
            for start in STARTS:
                rows.append(_row(draw, weights, clusters, start, arguments))
                print(_line(rows[-1]), flush=True)
    show_table("\n".join([*_conditions(weights, arguments), "", *HEADER, *map(_line, rows)]), arguments.table)
    worse = [row for row in rows if row.peer and row.as_many.error > row.peer.error]
    return 1 if worse else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="Python of the peer's environment")
    parser.add_argument("--clusters", default="6,16")
    parser.add_argument("--draws", default="normal,laplace")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", type=Path)
    return parser.parse_args()


def layer_set(seed: int, draw: str) -> Weights:
    """Random weights in the shapes of an attention U-Net, without small tensors; the smallest 60 % of each are zero."""
    spec = ImageSpec(height=64, width=64, classes=("a", "b", "c", "d", "e"))
    network = build_model("attention_unet", {"upsampling": "transposed"}, spec)
    rng = np.random.default_rng(seed)
    weights = {}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            shape = tuple(layer.weight.permute(2, 3, 1, 0).shape)
            weight = getattr(rng, draw)(size=shape) / np.sqrt(np.prod(shape[:3]))
            weight[np.abs(weight) <= np.quantile(np.abs(weight), SPARSITY)] = 0
            if np.count_nonzero(weight) >= FEWEST:
                weights[name.replace(".", "_")] = weight.astype(np.float32)
    return weights


def _row(draw: str, weights: Weights, clusters: int, start: Start, arguments: argparse.Namespace) -> Row:
    return Row(
        draw=draw,
        clusters=clusters,
        start=start,
        peer=_peer(weights, clusters, STARTS[start], arguments) if STARTS[start] else None,
        as_many=_ours(weights, clusters - 1, start, arguments.repeats),
        same_k=_ours(weights, clusters, start, arguments.repeats),
    )


def _peer(weights: Weights, clusters: int, start: str, arguments: argparse.Namespace) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "weights.npz", Path(folder) / "clustered.npz"
        np.savez(source, **weights)  # type: ignore[arg-type]
        settings = [clusters, start, arguments.repeats, arguments.threads]
        command = [str(arguments.peer), str(WORKER), str(source), str(target), *map(str, settings)]
        answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            raise RuntimeError(f"the peer failed:\n{answer.stderr[-3000:]}")
        return _judge(weights, dict(np.load(target)), json.loads(answer.stdout.splitlines()[-1]), most=clusters)


def _ours(weights: Weights, clusters: int, start: Start, repeats: int) -> Result:
    seconds = []
    for _ in range(1 + repeats):
        model = _model(weights)
        started = time.process_time()
        cluster_weights(model, ClusterConfig(clusters=clusters, start=start, per="tensor"))
        strip_clustering(model)
        seconds.append(time.process_time() - started)
    clustered = {
        name: layer.get_parameter("weight").detach().permute(2, 3, 1, 0).numpy() for name, layer in model.items()
    }
    return _judge(weights, clustered, seconds[1:], most=clusters + 1)


def _model(weights: Weights) -> nn.ModuleDict:
    layers = nn.ModuleDict()
    for name, weight in weights.items():
        height, width, channels, filters = weight.shape
        layer = nn.Conv2d(channels, filters, (height, width), bias=False)
        layer.weight.data = torch.from_numpy(weight).permute(3, 2, 0, 1).contiguous()
        layers[name] = layer
    return layers


def _judge(weights: Weights, clustered: Weights, seconds: list[float], *, most: int) -> Result:
    """Measures the error of either side; raises RuntimeError for a lost zero or more than `most` values per tensor."""
    squared = []
    for name, weight in weights.items():
        if clustered[name][weight == 0].any() or np.unique(clustered[name]).size > most:
            raise RuntimeError(f"{name} lost a zero or has {np.unique(clustered[name]).size} values, expected {most}")
        squared.append(((clustered[name].astype(np.float64) - weight) ** 2).ravel())
    errors = tuple(float(each.mean()) for each in squared)
    return Result(error=float(np.concatenate(squared).mean()), errors=errors, seconds=min(seconds))


def _line(row: Row) -> str:
    peer, ours = row.peer, row.as_many
    beside = ["", "", ""]
    if peer:
        better = sum(mine <= theirs for mine, theirs in zip(ours.errors, peer.errors, strict=True))
        beside = [f"{peer.error:.3e}", f"{ours.error / peer.error:.2f}", f"{better} of {len(peer.errors)}"]
    cells = [row.draw, str(row.clusters), row.start, beside[0], f"{ours.error:.3e}", *beside[1:]]
    cells += [f"{row.same_k.error:.3e}", f"{peer.seconds:.2f}" if peer else "", f"{ours.seconds:.2f}"]
    return "| " + " | ".join(cells) + " |"


def _conditions(weights: Weights, arguments: argparse.Namespace) -> list[str]:
    """The conditions of the numbers, for the head of the table."""
    code = f"from importlib.metadata import version as v; print(*(f'{{n}} {{v(n)}}' for n in {PACKAGES}), sep=', ')"
    peer = subprocess.run([str(arguments.peer), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    ours = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "kmeans1d"))
    size = sum(weight.size for weight in weights.values())
    return [
        "# Clustering beside TensorFlow's Model Optimization toolkit",
        "",
        f"{size:,} weights in {len(weights)} tensors, shaped as in an attention U-Net with transposed convolutions",
        f"(tensors with at least {FEWEST} weights that are not zero), drawn with seed {arguments.seed}; the smallest",
        f"{SPARSITY:.0%} of each are zero and stay zero on both sides. MSE is over all weights. The toolkit counts the",
        "zero among its k values, so ours gets k - 1 values and the zero; one column shows ours with k and the zero.",
        "Seconds are of preparing and stripping the whole set: process time, the minimum of",
        f"{arguments.repeats} after one that is not counted. The toolkit has no start that is optimal.",
        "",
        f"Peer: {peer}. Ours: {ours}. {cpu_name()}, {counted(arguments.threads, 'thread')}.",
        f"Made by `python benchmarks/clustering_peer.py --peer PYTHON --seed {arguments.seed}`; its head says how to",
        "make the peer's environment.",
    ]


if __name__ == "__main__":
    sys.exit(main())
