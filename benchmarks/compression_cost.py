"""Measures what pruning and clustering cost in mean IoU, for the students of finished runs.

Each run of scripts/distill.py provides its teacher and its dense student. Every setting compresses that student from
scratch into RUN/compression/SETTING; finished settings are not repeated. Writes a Markdown table to --table.

    python scripts/distill.py --seed 0 --out runs/seed0        (and 1, 2)
    python benchmarks/compression_cost.py runs/seed0 runs/seed1 runs/seed2 --settings 0.6:6,0.8:16
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import torch
import yaml
from show_table import show_table

from torchseg.checkpoint import load_checkpoint
from torchseg.compress import model_ledger, total
from torchseg.config import DistillConfig
from torchseg.console import console
from torchseg.data import HeldSamples
from torchseg.pipeline.run.dataset import Pictures, open_pictures
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.run.recorded_config import recorded_config
from torchseg.pipeline.run.session import launch
from torchseg.pipeline.stages.compression import Compressor
from torchseg.pipeline.stages.distillation import supervision
from torchseg.pipeline.stages.training import Trainer
from torchseg.train import evaluate

Row = tuple[float, float]  # mean IoU in % on the validation and the test split


@console()
def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    rows: dict[str, list[Row]] = {}
    for run in arguments.runs:
        for name, row in _one_run(run, arguments):
            rows.setdefault(name, []).append(row)
            print(f"{run}  {name:28} validation {row[0]:.2f}  test {row[1]:.2f}", flush=True)
    show_table("\n".join(_table(rows, arguments)), arguments.table)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--settings", default="0.6:6,0.8:16", help="SPARSITY:CLUSTERS[:tensor],...")
    parser.add_argument("--prune_epochs", type=int, default=0, help="0: as long as the chain does")
    parser.add_argument("--cluster_epochs", type=int, default=0, help="0: as long as the chain does")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", type=Path)
    return parser.parse_args()


def _one_run(run: Path, arguments: argparse.Namespace) -> list[tuple[str, Row]]:
    data = recorded_config(run)
    pictures = open_pictures(data)
    test = HeldSamples(pictures.test)
    found = [("dense student", _score(run / "student", test, pictures))]
    for text in arguments.settings.split(","):
        sparsity, clusters, *per = text.split(":")
        config = DistillConfig(
            data=data.data,
            root=data.root,
            image_size=data.image_size,
            seed=int(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["seed"]),
            sparsity=float(sparsity),
            clusters=int(clusters),
            cluster_per=per[0] if per else "channel",
            prune_epochs=arguments.prune_epochs,
            cluster_epochs=arguments.cluster_epochs,
        )
        folder = RunFolder(run / "compression" / text.replace(":", "-"))
        trainer = Trainer(config, pictures, folder, launch(config))
        learns_from = supervision(trainer, run / "teacher")
        for stage in Compressor(trainer, config, learns_from).stages(run / "student"):
            folder.do(stage)
            found.append((_label(stage.name, config), _score(folder.path / stage.name, test, pictures)))
        counts = total(model_ledger(load_checkpoint(folder.path / "clustered")[0]))
        print(f"{run}  {text}: {counts.sparsity:.2%} zeros, {counts.unique_values} values per tensor")
    return found


def _label(stage: str, config: DistillConfig) -> str:
    shared = f", then {config.clusters} values per {config.cluster_per}" if stage == "clustered" else ""
    return f"{config.sparsity:.0%} zeros{shared}"


def _score(checkpoint: Path, test: HeldSamples, pictures: Pictures) -> Row:
    network, card = load_checkpoint(checkpoint)
    return 100 * card.metrics["val_miou"], 100 * evaluate(network, test, pictures.spec).miou


def _table(rows: dict[str, list[Row]], arguments: argparse.Namespace) -> list[str]:
    lines = [
        f"Mean IoU in %, mean of {len(arguments.runs)} seeds; in brackets the change against dense, one by one.",
        "",
        "| network | validation | test |",
        "|---|---:|---:|",
    ]
    dense = rows["dense student"]
    for name, row in rows.items():
        cells = [name]
        for part in (0, 1):
            changes = [each[part] - before[part] for each, before in zip(row, dense, strict=True)]
            listed = "" if row is dense else f" ({', '.join(f'{change:+.2f}' for change in changes)})"
            cells.append(f"{statistics.mean(each[part] for each in row):.2f}{listed}")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
