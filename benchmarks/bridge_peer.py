"""Compares exported files of this project with those of litert-torch with AI Edge Quantizer and of onnx2tf.

All tools get the same weights. Each peer needs an environment of its own; create it once and pass its Python. A peer
without one is skipped:

    python3 -m venv litert && litert/bin/pip install -r benchmarks/bridge_peer_litert.txt
    python3 -m venv onnx2tf && onnx2tf/bin/pip install -r benchmarks/bridge_peer_onnx2tf.txt
    python benchmarks/bridge_peer.py --litert litert/bin/python --onnx2tf onnx2tf/bin/python --table FILE.md

litert-torch gets the exported PyTorch program, onnx2tf the fp32 ONNX file of this project; both get the calibration
images of this project. All files run in the LiteRT and ONNX Runtime of this environment, with interleaved timing. Keep
the machine idle meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from prepared_network import arrays, predictor, prepared_network
from show_table import show_table
from torch import nn

from tf_bridge.certify.parity import Parity, compare
from tf_bridge.conversion import Conversion
from torchseg.config import DataConfig
from torchseg.harness.host import cpu_name
from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError
from torchseg.harness.scoring.latency import Latency, LatencyConfig, measure_latency
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.run.dataset import Pictures, open_pictures

PEERS = {
    "litert": ("litert-torch", "ai-edge-quantizer", "torch", "ai-edge-litert"),
    "onnx2tf": ("onnx2tf", "tensorflow", "onnx", "ai-edge-litert"),
}
OURS = ("torch", "tensorflow", "onnx", "onnxruntime", "ai-edge-litert")
NAMES = {"litert": "litert-torch", "onnx2tf": "onnx2tf", "ours": "this project"}
JUDGED_ON, CALIBRATED_WITH = 8, 16
WORKER = Path(__file__).with_name("bridge_peer_worker.py")
HEADER = (
    "| precision | made by | format | largest error, % of range | mean error, % of range | agreement, % | bytes | "
    "min, ms | over ours | outside XNNPACK |",
    "|---|---|---|---:|---:|---:|---:|---:|---:|---:|",
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Result for one file."""

    tool: str
    path: Path
    failure: str | None = None
    parity: Parity | None = None
    min_ms: float | None = None
    leftovers: int = 0  # operators that XNNPACK does not take over

    @property
    def precision(self) -> str:
        """First part of the file's name: `int8_minmax` is int8 with other ranges."""
        return self.path.stem.partition("_")[0]


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(1)
    pictures = open_pictures(DataConfig(data=arguments.data, root=arguments.root, image_size="256"))
    network = prepared_network("attention_unet", {}, pictures, steps=arguments.steps)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = _ours(folder, network, pictures)
        for peer in PEERS:
            if python := getattr(arguments, peer):
                rows += _theirs(folder, peer, python)
        rows = _timed(rows, network, pictures, rounds=arguments.rounds)
        show_table("\n".join([*_conditions(arguments), "", *HEADER, *_lines(rows)]), arguments.table)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litert", type=Path, help="Python of the environment of litert-torch")
    parser.add_argument("--onnx2tf", type=Path, help="Python of the environment of onnx2tf")
    parser.add_argument("--data", default="scenes")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--steps", type=int, default=24, help="of training with 8 images each")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--table", type=Path)
    return parser.parse_args()


def _ours(folder: Path, network: nn.Module, pictures: Pictures) -> list[Row]:
    """Writes the files of this project, and the inputs of the peers."""
    images = arrays(pictures.train, pictures.spec, CALIBRATED_WITH)[0]
    np.save(folder / "calibration.npy", np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
    torch.export.save(torch.export.export(network, (torch.from_numpy(images[:1]),)), folder / "program.pt2")
    conversion = Conversion(network, pictures.spec)
    conversion.write(folder / "network.onnx")
    rows = []
    for precision in Precision:
        for kind in ("tflite", "onnx"):
            path = folder / f"{precision}.{kind}"
            conversion.write(path, precision=precision, calibration=images)
            rows.append(Row(tool="ours", path=path))
    return rows


def _theirs(folder: Path, peer: str, python: Path) -> list[Row]:
    command = [str(python), str(WORKER), peer, str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, env=peer_environment(python))
    if answer.returncode:  # the table shows the failure
        print(answer.stderr[-3000:], file=sys.stderr)
        why = f"{NAMES[peer]} ends in exit code {answer.returncode}: {answer.stderr.strip().splitlines()[-1:]}"
        failures: dict[str, str | None] = {str(precision): why for precision in Precision}
    else:
        failures = json.loads(answer.stdout.splitlines()[-1])
    return [Row(tool=peer, path=folder / peer / f"{name}.tflite", failure=failures[name]) for name in failures]


def _timed(rows: Sequence[Row], network: nn.Module, pictures: Pictures, *, rounds: int) -> list[Row]:
    """Compares every file with the network, then times those that run, interleaved."""
    images, masks = arrays(pictures.validation, pictures.spec, JUDGED_ON)
    reference, judged, processes = predictor(network), [], []
    for row in rows:
        if row.failure is None:
            process = RuntimeProcess(row.path)
            try:
                process.load()
                parity = compare(reference, process.predict, images, masks, num_classes=pictures.spec.num_classes)
                row = replace(row, parity=parity, leftovers=len(process.describe().leftovers))
                processes.append(process)
            except (RuntimeProcessError, ValueError) as error:
                process.close()
                row = replace(row, failure=str(error))
        judged.append(row)
        print(f"{row.tool:8} {row.path.name:18} {row.failure or 'runs'}", flush=True)
    results = iter(measure_latency(processes, [images[:1]] * len(processes), LatencyConfig(rounds=rounds)))
    for process in processes:
        process.close()
    return [row if row.failure else _with_time(row, next(results)) for row in judged]


def _with_time(row: Row, result: Latency | RuntimeProcessError) -> Row:
    return replace(row, min_ms=result.min_ms) if isinstance(result, Latency) else replace(row, failure=str(result))


def _lines(rows: Sequence[Row]) -> list[str]:
    ours = {row.precision: row.min_ms for row in rows if row.tool == "ours" and row.path.suffix == ".tflite"}
    ordered = sorted(rows, key=lambda row: list(Precision).index(Precision(row.precision)))
    return [_line(row, ours[row.precision]) for row in ordered]


def _line(row: Row, ours_ms: float | None) -> str:
    name = NAMES[row.tool] + (", smallest and largest value" if "_minmax" in row.path.stem else "")
    start = f"| {row.precision} | {name} | {row.path.suffix[1:]} | "
    if row.failure or row.parity is None or row.min_ms is None:
        return start + f"{row.failure or 'not timed'} | | | | | | |".replace("\n", " ")
    errors = [
        100 * (each or 0.0) / row.parity.logit_range for each in (row.parity.max_abs_error, row.parity.mean_abs_error)
    ]
    cells = [f"{errors[0]:.4f}", f"{errors[1]:.5f}", f"{100 * row.parity.argmax_agreement:.3f}"]
    cells += [f"{row.path.stat().st_size:,}", f"{row.min_ms:.1f}", f"{row.min_ms / ours_ms:.2f}" if ours_ms else ""]
    return start + " | ".join([*cells, str(row.leftovers) if row.path.suffix == ".tflite" else ""]) + " |"


def _conditions(arguments: argparse.Namespace) -> list[str]:
    """The conditions of the numbers, for the head of the table."""
    ours = ", ".join(f"{name} {version(name)}" for name in OURS)
    peers = [f"{NAMES[peer]}: {peer_versions(python, peer)}" for peer in PEERS if (python := getattr(arguments, peer))]
    return [
        "# The bridge beside litert-torch and onnx2tf",
        "",
        f"The default teacher (attention_unet) at 256x256 after {arguments.steps} batches of training on",
        f"{arguments.data}; errors against PyTorch on {JUDGED_ON} validation images. {CALIBRATED_WITH} training",
        "images calibrate int8, the same for all. Every tool works as it does by itself; AI Edge Quantizer also with",
        "the smallest and largest value as ranges instead of its moving average. int8 files take and give integers",
        "where the tool offers that. Time is the minimum of interleaved runs, batch 1, one thread, all in this",
        'project\'s LiteRT and ONNX Runtime; "over ours" is against our TFLite file of the same precision.',
        "",
        f"Ours: {ours}. {'. '.join(peers)}. {cpu_name()}.",
        "Made by `python benchmarks/bridge_peer.py --litert PYTHON --onnx2tf PYTHON`; its head says how to make the",
        "environments.",
    ]


def peer_environment(python: Path) -> dict[str, str]:
    """Environment variables of a peer's process: onnx2tf starts programs of its environment, e.g. onnxsim, by name."""
    return os.environ | {"PATH": f"{python.absolute().parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def peer_versions(python: Path, peer: str) -> str:
    """Names and versions of a peer's packages in its environment."""
    code = f"from importlib.metadata import version as v; print(*(f'{{n}} {{v(n)}}' for n in {PEERS[peer]}), sep=', ')"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
