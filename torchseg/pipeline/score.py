"""Scores the files of a finished run again."""

from __future__ import annotations

from torchseg.command import CHECK_FAILED, DONE
from torchseg.config import ScoreConfig
from torchseg.harness.latency import LatencyConfig
from torchseg.harness.report import write_report
from torchseg.harness.score import score_artifacts
from torchseg.pipeline.pictures import open_pictures
from torchseg.pipeline.recorded import recorded_config
from torchseg.pipeline.scoring import checkpoints_in, find_artifacts
from torchseg.pipeline.summary import table_lines


def score(config: ScoreConfig) -> int:
    """Measures every file of the run, writes the tables and the report; 1 if a file could not be scored."""
    pictures = open_pictures(recorded_config(config.run))
    artifacts = find_artifacts(config.run, checkpoints_in(config.run))
    timing = LatencyConfig(threads=config.threads or 1)
    failures = score_artifacts(artifacts, pictures.test, pictures.spec, config.run, config=timing)
    print("\n".join(table_lines(config.run / "scores.csv")))
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"\n  report   {write_report(config.run)}")
    return CHECK_FAILED if failures else DONE
