"""Scores model files: all of a finished run, or any from anywhere."""

from __future__ import annotations

import json
from dataclasses import replace

from torchseg.command import CHECK_FAILED, DONE
from torchseg.config import ScoreConfig
from torchseg.harness.report.report import write_report
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.harness.scoring.score import score_artifacts
from torchseg.pipeline.commands.explanation import print_explanation
from torchseg.pipeline.commands.score_plan import plan_scores
from torchseg.pipeline.commands.summary import comparison_lines, table_lines
from torchseg.pipeline.installed import check_runtimes
from torchseg.pipeline.run.environment import ENVIRONMENT, environment_record
from torchseg.pipeline.run.folder import held_run


def score(config: ScoreConfig) -> int:
    """Measures every file, writes the tables and the report; 1 if a file could not be scored."""
    check_runtimes(config.runtime_list)
    if config.explain is not None:
        print_explanation(config)
        return DONE
    plan = plan_scores(config)
    timing = LatencyConfig(threads=config.thread_list[0])
    if config.jobs != "auto":
        timing = replace(timing, jobs=config.jobs)
    if config.against is not None:  # the difference is the question: take the rounds that a narrow interval needs
        timing = replace(timing, rounds=15, max_rounds=40, budget_s=30.0)
    with held_run(plan.out):
        failures = score_artifacts(plan.artifacts, plan.samples, plan.spec, plan.out, config=timing)
        if not plan.is_run:  # a run's own record says how its files came to be
            (plan.out / ENVIRONMENT).write_text(
                json.dumps(environment_record(config.cores), indent=2) + "\n", encoding="utf-8"
            )
        page = write_report(plan.out)
    print("\n".join(table_lines(plan.out / "scores.csv")))
    if config.against is not None:
        print("\n" + "\n".join(comparison_lines(plan.out / "scores.csv")))
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"\n  report   {page}")
    return CHECK_FAILED if failures else DONE
