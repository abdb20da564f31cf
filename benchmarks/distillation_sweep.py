"""Measures what distillation gains on the built-in scenes, for any temperatures, alphas and numbers of steps.

Every seed trains one teacher, one student per setting, and one baseline (undistilled student) per number of steps. The
first setting is the base; each of the others should change one thing. Compare settings on the validation split;
scores on the test split are only shown. The same command on the same --out resumes a stopped sweep.

    python benchmarks/distillation_sweep.py --seeds 0,1,2
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from show_table import show_table

from torchseg.checkpoint import load_checkpoint
from torchseg.config import DistillConfig
from torchseg.console import console
from torchseg.data import HeldSamples
from torchseg.pipeline.run.dataset import Pictures, open_pictures
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.run.session import launch
from torchseg.pipeline.stages.training import (
    STUDENT_STEPS,
    TEACHER_STEPS,
    VIEWS,
    DefaultFor,
    NetworkSpec,
    Trainer,
)
from torchseg.train import DistillationConfig, evaluate


@dataclass(frozen=True)
class Setting:
    """Distillation configuration of a student; temperature 0 means training on labels alone."""

    steps: int
    temperature: float = 0.0
    alpha: float = 0.0
    transfer: int = 0
    views: int = 0

    @property
    def baseline(self) -> Setting:
        """The baseline: the same student, trained for as many steps on labels alone."""
        return Setting(self.steps)

    @property
    def stage(self) -> str:
        """Name of the stage, and of its folder."""
        if not self.temperature:
            return f"baseline-{self.steps}"
        views = f"-{self.views}-views" if self.views else ""
        return f"student-{self.steps}-{self.temperature:g}-{self.alpha:g}-{self.transfer:g}{views}"

    @property
    def name(self) -> str:
        """Name in the table."""
        if not self.temperature:
            return f"labels alone, {self.steps} steps"
        pictures = "with" if self.transfer else "without"
        how = f"T = {self.temperature:g}, alpha = {self.alpha:g}"
        views = f", {self.views} view{'s' * (self.views > 1)} of each picture" if self.views else ""
        return f"{how}, {pictures} pictures without masks{views}, {self.steps} steps"


Rows = dict[Setting | None, dict[int, tuple[float, float]]]  # None stands for the teacher


@console()
def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    settings = [_setting(text) for text in arguments.settings.split(",")]
    rows: Rows = {}
    for seed in (int(each) for each in arguments.seeds.split(",")):
        for setting, scores in _one_seed(seed, settings, arguments):
            rows.setdefault(setting, {})[seed] = scores
            name = setting.name if setting else "teacher"
            print(f"seed {seed}  {name:64} validation {scores[0]:.2f}  test {scores[1]:.2f}", flush=True)
    show_table("\n".join(_table(rows, arguments)), arguments.table)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument(
        "--settings",
        default=f"1:0.5:1:{STUDENT_STEPS.scenes}:{VIEWS.scenes}",
        help="temperature:alpha:transfer (0 or 1):steps[:views], separated by commas",
    )
    parser.add_argument("--teacher_steps", type=int, default=TEACHER_STEPS.scenes)
    parser.add_argument("--batch_size", type=int, default=DistillConfig.batch_size)
    parser.add_argument("--out", type=Path, default=Path("runs/distillation_sweep"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", type=Path)
    return parser.parse_args()


def _setting(text: str) -> Setting:
    temperature, alpha, transfer, steps, *views = text.split(":")
    return Setting(int(steps), float(temperature), float(alpha), int(transfer), *map(int, views))


def _one_seed(
    seed: int, settings: list[Setting], arguments: argparse.Namespace
) -> Iterator[tuple[Setting | None, tuple[float, float]]]:
    """Mean IoU in % on the validation and the test split, for the teacher, every setting and its baseline."""
    config = DistillConfig(seed=seed, batch_size=arguments.batch_size, out=arguments.out / str(seed))
    assert config.teacher is not None
    pictures = open_pictures(config)
    test = HeldSamples(pictures.test)
    folder = RunFolder(config.run)
    fabric = launch(config)
    trainer = Trainer(config, pictures, folder, fabric)

    def score(stage: Stage) -> tuple[float, float]:
        folder.do(stage)
        network, card = load_checkpoint(folder.path / stage.name)
        return 100 * card.metrics["val_miou"], 100 * evaluate(network, test, pictures.spec)[0]

    epochs = _epochs(trainer, arguments.teacher_steps)
    teacher = NetworkSpec(stage="teacher", model=config.teacher, epochs=epochs)
    yield None, score(trainer.with_labels(teacher))
    for setting in settings:
        baseline = setting.baseline
        student = NetworkSpec(stage=baseline.stage, model=config.student, epochs=_epochs(trainer, setting.steps))
        yield baseline, score(trainer.with_labels(student))
        chosen = trainer if setting.transfer else Trainer(config, _without_transfer(pictures), folder, fabric)
        how = DistillationConfig(temperature=setting.temperature, alpha=setting.alpha, views=setting.views)
        student = replace(student, stage=setting.stage)
        yield setting, score(chosen.with_teacher(student, folder.path / "teacher", how))


def _epochs(trainer: Trainer, steps: int) -> int:
    return trainer.epochs(0, steps=DefaultFor(scenes=steps, photos=steps))


def _without_transfer(pictures: Pictures) -> Pictures:
    return replace(pictures, transfer=())


def _table(rows: Rows, arguments: argparse.Namespace) -> list[str]:
    """One row per setting: mean IoU, and the gain over its baseline, per seed and on average."""
    seeds = sorted({seed for row in rows.values() for seed in row})
    lines = [
        f"Mean IoU in % on scenes at 64x64, mean of seeds {', '.join(map(str, seeds))}; in brackets the seeds one by",
        f"one. Steps of {arguments.batch_size} pictures, {arguments.teacher_steps} for the teacher. The gain is over a",
        "student trained from the same weights for as long on labels alone. The first is the base; the others each",
        "change one thing.",
        "",
        "| trained with | validation | gain on validation | test | gain on test |",
        "|---|---:|---:|---:|---:|",
    ]
    for setting, row in rows.items():
        cells = [setting.name if setting else "teacher"]
        for part in (0, 1):
            cells.append(f"{statistics.mean(row[seed][part] for seed in seeds):.2f}")
            gains = _gains(rows, setting, part, seeds)
            each = ", ".join(f"{gain:+.2f}" for gain in gains)
            cells.append(f"{statistics.mean(gains):+.2f} ({each})" if gains else "")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _gains(rows: Rows, setting: Setting | None, part: int, seeds: list[int]) -> list[float]:
    """Gains over the baseline, one per seed; empty for the teacher and for baselines."""
    if setting is None or setting == setting.baseline:
        return []
    return [rows[setting][seed][part] - rows[setting.baseline][seed][part] for seed in seeds]


if __name__ == "__main__":
    sys.exit(main())
