"""Cross-validation: one run per fold, each in a folder of its own, and one table of them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from torchseg.cli.command import CHECK_FAILED, DONE
from torchseg.config import DistillConfig, TrainConfig
from torchseg.harness.report.recommendation.recommend import recommend
from torchseg.harness.report.run_record import read_run
from torchseg.pipeline.run.folder import is_run
from torchseg.pipeline.run.folds import SPLIT_TABLE, TABLE, fold_folder, fold_lines, write_folds
from torchseg.pipeline.run.lock import locked

Config = TypeVar("Config", DistillConfig, TrainConfig)


def cross_validate(config: Config, run_fold: Callable[[Config], int], *, target: str | None = None) -> int:
    """Runs every fold, and writes mean and spread over the folds; returns 1 if a check failed in one.

    A fold that is done is skipped, and one that was stopped goes on.

    Args:
        config: flags of the command, with the number of folds.
        run_fold: runs the command on one fold, and returns its exit code.
        target: where the files will run, which decides the one in the table.

    Raises:
        ValueError: if the folder holds a run, or the data cannot be cut into these folds.
    """
    out = config.out or Path("runs") / f"{config.data}_folds"
    if is_run(out):
        raise ValueError(f"--out {out} is the folder of a single run; give a new folder for {config.folds} folds")
    runs = [fold_folder(out, number) for number in range(1, config.folds + 1)]
    failed = False
    with locked(out):
        for number, run in enumerate(runs, start=1):
            print(f"\nFold {number} of {config.folds}: {run}", flush=True)
            code = run_fold(replace(config, folds=0, fold=f"{number}/{config.folds}", out=run))
            failed |= code != DONE
        rows = write_folds(out, runs)
    print(f"\nOver {config.folds} folds, each image in the test split once (mean ± standard deviation):")
    print("\n".join(fold_lines(rows, _columns(runs[0], target), folds=config.folds)))
    print(f"  table       {out / TABLE}\n  splits      {out / SPLIT_TABLE}")
    return CHECK_FAILED if failed else DONE


def _columns(first: Path, target: str | None) -> list[str]:
    """The networks, and the file that the first fold recommends, if it has files."""
    run = read_run(first)
    networks = [row["artifact"] for row in run.scores if row["format"] == "torch"]
    found = recommend(run.scores, target=target)
    return [*networks, *([found.file["artifact"]] if found else [])]
