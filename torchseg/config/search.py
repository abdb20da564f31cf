"""Flags of the hyper-parameter search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchseg.config.choices import PRECISIONS, SEARCH_ENGINES, choices
from torchseg.config.distill import DistillConfig
from torchseg.config.search_space import Space, parse_space
from torchseg.spec import nearest


@dataclass(frozen=True, kw_only=True)
class SearchConfig(DistillConfig):
    """Searches how to distil the student: the most accurate configuration whose file stays within a budget.

    The flags of distill.py say where the search begins; those about compression and files only pass into the best
    configuration, which distill.py then takes as it is.

    Attributes:
        engine: Who chooses what to try next: nni or optuna, both by a tree of Parzen estimators (TPE).
        trials: Configurations to try; the one that the other flags describe is tried before them, as trial 0.
        space: What to choose from, separated by commas: NAME=LOW..HIGH, NAME=LOW..HIGH log or NAME=A|B|C. Names are
            learning_rate, temperature, alpha, schedule, a term of the loss for its weight (dice, focal, ...), and
            whatever the student's builder takes (base_width, dropout, ...).
        max_kb: Kilobytes that the student's ONNX file may have. Default, without --max_ms: what trial 0 has.
        max_ms: Milliseconds that the file may take for one picture on one thread of this machine.
        budget_precision: Precision of the file that the budget is about: fp32, fp16, dynamic or int8.
        epochs: Epochs of every trial, counted in labelled pictures. Default: as many as make 640 steps on scenes,
            1440 otherwise.
        out: Folder of the search. Default: runs/DATA-search.
    """

    engine: str = "nni"
    trials: int = 8
    space: str = (
        "learning_rate=0.001..0.008 log, dropout=0..0.1, temperature=1..8 log, alpha=0.1..0.9, dice=0.25..4 log, "
        "base_width=4|6|8"
    )
    max_kb: float | None = None
    max_ms: float | None = None
    budget_precision: str = "fp32"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.engine not in SEARCH_ENGINES:
            hint = nearest(self.engine, SEARCH_ENGINES)
            raise ValueError(f"engine is '{self.engine}'{hint}; choose from {', '.join(SEARCH_ENGINES)}")
        if self.teacher is None:
            raise ValueError("teacher is null, but trials learn from one: name a network")
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}; try at least 1 configuration")
        for name, most in (("max_kb", self.max_kb), ("max_ms", self.max_ms)):
            if most is not None and most <= 0:
                raise ValueError(f"{name} is {most}; give a positive number")
        if len(choices("budget_precision", self.budget_precision, PRECISIONS)) > 1:
            raise ValueError(f"budget_precision is '{self.budget_precision}'; the budget is about one file: give one")
        _ = self.ranges

    @property
    def ranges(self) -> Space:
        """`space`, parsed."""
        return parse_space(self.space)

    @property
    def run(self) -> Path:
        """Folder of the search."""
        return self.out or Path("runs") / f"{self.data}-search"
