"""What distillation gains on the built-in scenes, and which temperature, alpha and length gain most.

Every seed trains one teacher, the undistilled twin, and one student per setting, all students for the same steps.
Resumable: the same command on the same --out goes on where it stopped. Writes a Markdown table to --table.

    python benchmarks/distillation_sweep.py --seeds 0,1,2
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric

from torchseg.checkpoint import load_checkpoint
from torchseg.config import DistillConfig
from torchseg.data import HeldSamples
from torchseg.pipeline.pictures import Pictures, open_pictures
from torchseg.pipeline.run_folder import RunFolder, Stage
from torchseg.pipeline.training import STUDENT_STEPS, TEACHER_STEPS, Student, Trainer
from torchseg.train import DistillationConfig, evaluate, training_precision


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    settings = [tuple(float(each) for each in text.split(":")) for text in arguments.settings.split(",")]
    rows: dict[str, dict[int, float]] = {}
    for seed in (int(each) for each in arguments.seeds.split(",")):
        for name, miou in _one_seed(seed, settings, arguments):
            rows.setdefault(name, {})[seed] = 100 * miou
            print(f"seed {seed}  {name:34} {100 * miou:.2f}", flush=True)
    table = "\n".join(_table(rows, arguments))
    print("\n" + table)
    if arguments.table:
        arguments.table.write_text(table + "\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument(
        "--settings", default="1:0.5:1", help="temperature:alpha:transfer (0 or 1), separated by commas"
    )
    parser.add_argument("--teacher_steps", type=int, default=TEACHER_STEPS[True])
    parser.add_argument("--student_steps", type=int, default=STUDENT_STEPS[True])
    parser.add_argument("--out", type=Path, default=Path("runs/distillation_sweep"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", type=Path)
    return parser.parse_args()


def _one_seed(
    seed: int, settings: list[tuple[float, ...]], arguments: argparse.Namespace
) -> Iterator[tuple[str, float]]:
    config = DistillConfig(seed=seed, out=arguments.out / str(seed))
    pictures = open_pictures(config)
    test = HeldSamples(pictures.test)
    folder = RunFolder(config.run)
    fabric = Fabric(precision=training_precision(), devices=1)
    trainer = Trainer(config, pictures, folder, fabric)

    def score(stage: Stage, name: str) -> tuple[str, float]:
        folder.do(stage)
        network, _ = load_checkpoint(folder.path / stage.name)
        return name, evaluate(network, test, pictures.spec)[0]

    student_steps = arguments.student_steps
    epochs = trainer.epochs(0, steps=arguments.teacher_steps)
    yield score(trainer.with_labels(Student(stage="teacher", model=config.teacher, epochs=epochs)), "teacher")
    epochs = trainer.epochs(0, steps=student_steps)
    twin = Student(stage=f"twin-{student_steps}", model=config.student, epochs=epochs)
    yield score(trainer.with_labels(twin), "student, labels alone")
    for temperature, alpha, transfer in settings:
        chosen = trainer if transfer else Trainer(config, _without_transfer(pictures), folder, fabric)
        name = f"student-{student_steps}-{temperature:g}-{alpha:g}-{transfer:g}"
        student = Student(stage=name, model=config.student, epochs=epochs)
        how = DistillationConfig(temperature=temperature, alpha=alpha)
        label = f"T = {temperature:g}, alpha = {alpha:g}, {'with' if transfer else 'no'} transfer set"
        yield score(chosen.with_teacher(student, folder.path / "teacher", how), label)


def _without_transfer(pictures: Pictures) -> Pictures:
    return replace(pictures, transfer=())


def _table(rows: dict[str, dict[int, float]], arguments: argparse.Namespace) -> list[str]:
    """One row per setting: mean IoU of each seed on the test part, their mean and spread, and the gain over labels."""
    seeds = sorted({seed for row in rows.values() for seed in row})
    twin = rows["student, labels alone"]
    lines = [
        "Mean IoU in %, test part of scenes at 64x64.",
        f"Steps of 8 pictures: teacher {arguments.teacher_steps}, every student {arguments.student_steps}.",
        "",
        "| trained with | "
        + " | ".join(f"seed {seed}" for seed in seeds)
        + " | mean | spread | gain over labels alone |",
        "|---|" + "---:|" * (len(seeds) + 3),
    ]
    for name, row in rows.items():
        values = [row[seed] for seed in seeds]
        gain = statistics.mean(row[seed] - twin[seed] for seed in seeds)
        cells = [f"{value:.2f}" for value in values] + [f"{statistics.mean(values):.2f}"]
        cells += [f"{max(values) - min(values):.2f}", "" if name == "teacher" else f"{gain:+.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
