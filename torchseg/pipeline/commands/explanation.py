"""`score --explain FILE`: where the time of one file goes."""

from __future__ import annotations

from pathlib import Path

from torchseg.checkpoint import read_card
from torchseg.config import ScoreConfig
from torchseg.harness.report.explain import explanation_lines, measure_explanation
from torchseg.harness.runtimes.process import RuntimeProcessError
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.modelfile.describe import file_facts
from torchseg.pipeline.commands.score_plan import single_artifact


def print_explanation(config: ScoreConfig) -> None:
    """Prints the breakdown of `config.explain`, once per runtime that was asked for.

    Raises:
        ValueError: if the file cannot be opened or run.
    """
    assert config.explain is not None, "the command asks for it"
    artifact = single_artifact(config.explain)
    timing = LatencyConfig(threads=config.thread_list[0])
    asked: list[str | None] = [*config.runtime_list] or [None]
    for runtime in asked:
        try:
            found = measure_explanation(artifact.path, _shape(artifact.path, config), runtime=runtime, config=timing)
        except RuntimeProcessError as failure:
            raise ValueError(str(failure)) from failure
        print(f"{config.explain}\n" + "\n".join(explanation_lines(found)) + "\n")


def _shape(path: Path, config: ScoreConfig) -> tuple[int, int, int, int]:
    """`(1, C, H, W)` as the file fixes it; the flags, or their default, where it takes any size."""
    height, width = config.size
    if path.is_dir():
        spec = read_card(path).spec
        return (1, spec.channels, *((height, width) if config.image_size else (spec.height, spec.width)))
    facts = file_facts(path)
    if facts is None:
        return (1, 3, height, width)  # opening it in its runtime says what is wrong
    return (1, facts.channels or 3, facts.height or height, facts.width or width)
