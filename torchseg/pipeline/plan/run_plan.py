"""The plan of a run: its stages with the time that each is expected to take, corrected by what they took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torchseg.console import STDOUT
from torchseg.harness.format import aligned
from torchseg.pipeline.run.folder import Stage
from torchseg.progress_bar import Progress, duration


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """One line of a plan.

    Attributes:
        name: of the stage; a name that ends in a slash stands for every stage whose name begins with it.
        title: name of the line.
        amount: how much there is to do, e.g. `40 epochs`.
        seconds: expects how long it takes; None if that cannot be known. Called once, when the plan is shown, and only
            for a stage that is not done.
        kind: stages of one kind are corrected by the same factor.
    """

    name: str
    title: str
    amount: str
    seconds: Callable[[], float | None]
    kind: str

    def covers(self, stage: str) -> bool:
        """Whether the line stands for the stage of this name."""
        return stage.startswith(self.name) if self.name.endswith("/") else stage == self.name


class RunPlan:
    """Shows the plan before the first of its stages runs, and after each one how long the others still take.

    Args:
        lines: of the plan, in the order in which the stages run.
        clock: returns the time in seconds.
    """

    def __init__(self, lines: Sequence[PlannedStage], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lines, self._clock = lines, clock
        self._expected: dict[str, float | None] = {}
        self._taken: dict[str, float] = {}
        self._passed: set[str] = set()
        self._at: PlannedStage | None = None

    def do(self, stage: Stage, do: Callable[[Stage], bool]) -> bool:
        """Runs a stage through `do`, which skips it if it is done, and returns whether it ran."""
        line = next((each for each in self._lines if each.covers(stage.name)), None)
        if line is None:
            return do(stage)
        if line is not self._at:
            self._end()
            self._at = line

        def run(work: object) -> None:
            self._show()
            began = self._clock()
            try:
                stage.run(work)  # type: ignore[arg-type]
            finally:
                self._taken[line.title] = self._taken.get(line.title, 0.0) + self._clock() - began

        return do(Stage(name=stage.name, inputs=stage.inputs, outputs=stage.outputs, run=run))

    def _end(self) -> None:
        """Ends the line that stages were run for so far."""
        if self._at is None:
            return
        title = self._at.title
        self._passed.add(title)
        if not self._expected:
            return
        todo = [each for each in self._lines if each.title not in self._passed]
        is_known = all(self._expected.get(each.title) is not None for each in todo)
        left = sum(map(self._left, todo))
        ending = f", about {duration(left)} left" if is_known and left >= 1 else ""
        said = f"done in {duration(self._taken[title])}" if title in self._taken else "done before"
        STDOUT.info(f"  {title}: {said}{ending}")

    def _left(self, line: PlannedStage) -> float:
        """Expected seconds of a line, times what the lines of its kind took for each second expected."""
        own = self._expected.get(line.title) or 0.0
        alike = [each.title for each in self._lines if each.kind == line.kind and each.title in self._passed]
        known = [title for title in alike if title in self._taken and self._expected.get(title)]
        expected = sum(self._expected[title] or 0.0 for title in known)
        return own * sum(self._taken[title] for title in known) / expected if known else own

    def _show(self) -> None:
        if self._expected:
            return
        todo = [each for each in self._lines if each.title not in self._passed]
        with Progress(0, "measuring how long the networks take"):
            self._expected = {each.title: each.seconds() for each in todo}
        table = [[f"  {each.title}", each.amount, self._words(each)] for each in self._lines]
        total = sum(each or 0.0 for each in self._expected.values())
        unknown = None in self._expected.values()
        head = "Plan" if unknown else f"Plan, about {duration(total)} from here"
        STDOUT.info("\n".join([f"{head}:", *aligned(table)]))

    def _words(self, line: PlannedStage) -> str:
        if line.title in self._passed:
            return "done before"
        seconds = self._expected[line.title]
        if seconds is None:
            return ""
        return f"about {duration(seconds)}" if seconds >= 1 else "a moment"
