"""Cross-validation: one distillation per fold, each in a run folder of its own, and one table of them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torchseg.cli.command import CHECK_FAILED, DONE
from torchseg.config import DistillConfig
from torchseg.harness.report.recommendation.recommend import recommend
from torchseg.harness.report.run_record import read_run
from torchseg.pipeline.run.folder import is_run
from torchseg.pipeline.run.folds import SPLIT_TABLE, TABLE, fold_folder, fold_lines, write_folds
from torchseg.pipeline.run.lock import locked


def cross_validate(config: DistillConfig, distill: Callable[[DistillConfig], int]) -> int:
    """Runs `distill` for every fold, and writes mean and spread over the folds; returns 1 if a check failed in one.

    A fold that is done is skipped, and one that was stopped goes on.

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
            code = distill(replace(config, folds=0, fold=f"{number}/{config.folds}", out=run))
            failed |= code != DONE
        rows = write_folds(out, runs)
    print(f"\nOver {config.folds} folds, each image in the test split once (mean ± standard deviation):")
    print("\n".join(fold_lines(rows, _columns(config, runs[0]), folds=config.folds)))
    print(f"  table       {out / TABLE}\n  splits      {out / SPLIT_TABLE}")
    return CHECK_FAILED if failed else DONE


def _columns(config: DistillConfig, first: Path) -> list[str]:
    """The networks, and the file that the first fold recommends."""
    run = read_run(first)
    networks = [row["artifact"] for row in run.scores if row["format"] == "torch"]
    found = recommend(run.scores, target=config.target)
    return [*networks, *([found.file["artifact"]] if found else [])]
