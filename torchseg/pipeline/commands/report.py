"""The report command: rebuilds the report of a run."""

from __future__ import annotations

from torchseg.cli.command import CHECK_FAILED, DONE
from torchseg.config import ReportConfig
from torchseg.harness.report.file_check import CHANGED, file_problems
from torchseg.harness.report.report import write_report
from torchseg.harness.report.run_record import read_run
from torchseg.pipeline.run.folder import held_run
from torchseg.pipeline.run.summary import answer_lines


def report(config: ReportConfig) -> int:
    """Writes `report.html` and the figures from the contents of the run folder; returns 1 if a scored file changed.

    Raises:
        ValueError: if the folder holds no scores.
    """
    if not (config.run / "scores.csv").is_file():
        raise ValueError(f"{config.run} holds no scores.csv; give the folder of a finished run, e.g. runs/scenes")
    with held_run(config.run):
        write_report(config.run, target=config.target)
        run = read_run(config.run)
    problems = file_problems(run)
    for name, problem in problems.items():
        print(f"{config.run / name}: {problem}")
    print("\n".join(answer_lines(run, target=config.target or run.target)))
    return CHECK_FAILED if CHANGED in problems.values() else DONE
