"""Measures what distillation gains: teacher, students by any flags of `distill`, and baselines at several rates.

Every seed trains one teacher, one student per setting, and one baseline (the same student from the same weights, on
labels alone, for as many steps) per learning rate. A gain is over the baseline at the rate that is best on the
validation split, averaged over seeds. Compare settings on the validation split; scores on the test split are only
shown. The same command on the same --out resumes a stopped sweep.

    python benchmarks/distillation_sweep.py --seeds 0,1,2 --settings "" soft_loss=kl "temperature=4 alpha=0.8"
    python benchmarks/distillation_sweep.py --flags "data=oxford-pet root=DATA student=lite_student epochs=40"
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from marked_table import write_marked_table
from show_table import show_table

from torchseg.checkpoint import load_checkpoint
from torchseg.cli.command import config_of
from torchseg.config import DistillConfig
from torchseg.console import console
from torchseg.data import HeldSamples
from torchseg.pipeline.run.dataset import Pictures, cached_pictures, check_stage, distill_pictures
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.run.session import launch
from torchseg.pipeline.stages.default_networks import with_default_networks
from torchseg.pipeline.stages.distillation import student_network, supervision, teacher_stages
from torchseg.pipeline.stages.training import Trainer
from torchseg.train import evaluate

TEACHER = "teacher"


@dataclass(frozen=True)
class Scores:
    """Mean IoU in % on the validation split, and on the test split the mean and each class."""

    validation: float
    test: float
    classes: tuple[float, ...]


Rows = dict[str, dict[int, Scores]]  # by name of the setting and seed; a baseline is named by its learning rate


@console()
def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    base = _flags(arguments.flags) | {"threads": str(arguments.threads)}
    rows: Rows = {}
    for seed in (int(each) for each in arguments.seeds.split(",")):
        for name, scores in _one_seed(seed, base, arguments):
            rows.setdefault(name, {})[seed] = scores
            print(f"seed {seed}  {name:50} validation {scores.validation:.2f}  test {scores.test:.2f}", flush=True)
    classes = distill_pictures(with_default_networks(config_of(DistillConfig, base))).spec.classes
    text = "\n".join(_table(rows, classes, arguments))
    if arguments.name:
        print("\n" + text)
        write_marked_table(arguments.table, arguments.name, text)
    else:
        show_table(text, arguments.table)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--flags", default="", help="flags of distill for all trainings, e.g. 'data=aerial root=DATA'")
    parser.add_argument(
        "--settings",
        nargs="+",
        default=[""],
        help="flags of distill that a student is trained with, each 'NAME=VALUE ...'",
    )
    parser.add_argument("--baseline_rates", default="0.002,0.005,0.01", help="learning rates of the baselines")
    parser.add_argument("--out", type=Path, default=Path("runs/distillation_sweep"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", type=Path, help="file for the table")
    parser.add_argument("--name", help="write the table between the markers of this name, in a Markdown file")
    return parser.parse_args()


def _flags(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (item.partition("=") for item in text.split())}


def _one_seed(seed: int, base: Mapping[str, str], arguments: argparse.Namespace) -> Iterator[tuple[str, Scores]]:
    """The scores of the teacher, of every baseline and of every setting."""
    given = config_of(DistillConfig, {**base, "seed": str(seed), "out": str(arguments.out / str(seed))})
    config = with_default_networks(given)
    pictures, folder, fabric = distill_pictures(config), RunFolder(config.run), launch(config)
    folder.do(check_stage(pictures, config))
    pictures = cached_pictures(pictures, folder.path)
    test = HeldSamples(pictures.test)
    trainer = Trainer(config, pictures, folder, fabric)

    def score(stage: Stage) -> Scores:
        folder.do(stage)
        return _scores(folder.path / stage.name, test, pictures)

    for stage in teacher_stages(config, trainer):
        yield stage.name, score(stage)
    for rate in arguments.baseline_rates.split(","):
        network = replace(student_network(config, trainer, stage=f"baseline-{rate}"), learning_rate=float(rate))
        yield f"labels alone at {rate}", score(trainer.from_start(network))
    for text in arguments.settings:
        flags = {**base, **_flags(text), "seed": str(seed), "out": str(config.out)}
        chosen = with_default_networks(config_of(DistillConfig, flags))
        own = replace(trainer, config=chosen)
        stage_name = "student-" + (text.replace(" ", "-").replace("=", "-").replace("+", "-") or "default")
        learns_from = supervision(own, folder.path / TEACHER, views=chosen.views)
        yield (
            text or "the defaults",
            score(own.from_start(student_network(chosen, own, stage=stage_name), learns_from)),
        )


def _scores(checkpoint: Path, test: HeldSamples, pictures: Pictures) -> Scores:
    network, card = load_checkpoint(checkpoint)
    ious = evaluate(network, test, pictures.spec)
    return Scores(
        validation=100 * card.metrics["val_miou"],
        test=100 * ious.miou,
        classes=tuple(100 * share for share in ious.iou),
    )


def _table(rows: Rows, classes: tuple[str, ...], arguments: argparse.Namespace) -> list[str]:
    """One row per training: its scores per seed and on average, the gain over the best baseline, and each class."""
    seeds = sorted(rows[TEACHER])
    baselines = [name for name in rows if name.startswith("labels alone")]
    best = max(baselines, key=lambda name: statistics.mean(rows[name][seed].validation for seed in seeds))
    lines = [
        f"IoU in % ({arguments.flags or 'data=scenes'}), mean of seeds {', '.join(map(str, seeds))}; in brackets the",
        f"seeds one by one. The gain is over the baseline '{best}', the best on the validation split.",
        "",
        f"| trained with | validation | test | gain on test | {' | '.join(classes)} |",
        "|---|---:|---:|---:|" + "---:|" * len(classes),
    ]
    for name, row in rows.items():
        tests = [row[seed].test for seed in seeds]
        gains = [] if name == TEACHER or name in baselines else [row[s].test - rows[best][s].test for s in seeds]
        cells = [name, f"{statistics.mean(row[seed].validation for seed in seeds):.2f}"]
        cells.append(f"{statistics.mean(tests):.2f} ({', '.join(f'{each:.2f}' for each in tests)})")
        each = ", ".join(f"{gain:+.2f}" for gain in gains)
        cells.append(f"{statistics.mean(gains):+.2f} ({each})" if gains else "")
        cells += [f"{statistics.mean(row[seed].classes[at] for seed in seeds):.1f}" for at in range(len(classes))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
