"""The search command: hyper-parameters of the student, for accuracy within a budget."""

from __future__ import annotations

from torchseg.cli.command import CHECK_FAILED, DONE, other_command
from torchseg.config import SearchConfig
from torchseg.pipeline.search.search import run_search


def search(config: SearchConfig) -> int:
    """Runs every trial that has not ended; returns 0 with a best configuration, 1 if no trial met the budget."""
    found = run_search(config)
    print(f"\n  table    {found.table}\n  figure   {found.figure}")
    if found.best is None:
        print(f"\nFAILED: {found.verdict}")
        return CHECK_FAILED
    print(f"  best     {found.best}: {found.verdict}")
    print(f"  next     {other_command('distill')} --config {found.best}")
    return DONE
