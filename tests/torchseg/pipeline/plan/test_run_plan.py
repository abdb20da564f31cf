from __future__ import annotations

from pathlib import Path

import pytest

from torchseg.console import console
from torchseg.pipeline.plan.run_plan import PlannedStage, RunPlan
from torchseg.pipeline.run.folder import RunFolder, Stage


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def do(clock, tmp_path):
    """Runs a stage that takes so many seconds, through a plan, unless it is done."""
    folder = RunFolder(tmp_path / "run")

    def do(plan, name, seconds):
        def work(into: Path) -> None:
            clock.now += seconds
            (into / name).parent.mkdir(exist_ok=True)
            (into / name).write_text("done")

        return plan.do(Stage(name=name, inputs={}, outputs=[name], run=work), folder.do)

    return do


def planned(name, seconds, *, kind="training", amount="40 epochs"):
    return PlannedStage(name=name, title=name.strip("/"), amount=amount, seconds=lambda: seconds, kind=kind)


def lines(capsys):
    return capsys.readouterr().out.splitlines()


@console()
def test_the_plan_comes_before_the_first_stage_and_what_is_left_after_each(clock, do, capsys):
    plan = RunPlan(
        [planned("teacher", 60.0), planned("student", 30.0), planned("score", 20.0, kind="score")], clock=clock
    )
    assert do(plan, "teacher", 120)
    assert lines(capsys) == [
        "Plan, about 2 min from here:",
        "  teacher  40 epochs  about 60 s",
        "  student  40 epochs  about 30 s",
        "  score    40 epochs  about 20 s",
    ]
    assert do(plan, "student", 60)  # the teacher took twice the time, and so will the student, but not the score
    assert lines(capsys) == ["  teacher: done in 2 min, about 80 s left"]
    assert do(plan, "score", 20)
    assert lines(capsys) == ["  student: done in 60 s, about 20 s left"]


@console()
def test_stages_that_were_done_before_say_so_and_are_not_measured(clock, do, capsys):
    def never():
        raise AssertionError("the network of a finished stage was built")

    do(RunPlan([]), "teacher", 1)
    do(RunPlan([]), "pruned", 1)
    teacher = PlannedStage(name="teacher", title="teacher", amount="40 epochs", seconds=never, kind="training")
    plan = RunPlan([teacher, planned("student", 30.0), planned("pruned", 5.0), planned("score", 9.0)], clock=clock)
    assert [do(plan, name, 10) for name in ("teacher", "student", "pruned", "score")] == [False, True, False, True]
    assert lines(capsys) == [
        "Plan, about 44 s from here:",
        "  teacher  40 epochs  done before",
        "  student  40 epochs  about 30 s",
        "  pruned   40 epochs  about 5 s",
        "  score    40 epochs  about 9 s",
        "  student: done in 10 s, about 5 s left",
        "  pruned: done before, about 3 s left",
    ]


@console()
def test_a_run_with_nothing_to_do_has_no_plan(clock, do, capsys):
    for _ in range(2):
        plan = RunPlan([planned("teacher", 60.0), planned("student", 30.0)], clock=clock)
        done = [do(plan, name, 1) for name in ("teacher", "student")]
        said = lines(capsys)
    assert (done, said) == ([False, False], [])


@console()
def test_many_files_are_one_line(clock, do, capsys):
    plan = RunPlan([planned("artifacts/", 8.0, kind="export", amount="2 files"), planned("report", 0.1)], clock=clock)
    for name in ("artifacts/a", "artifacts/b", "report"):
        do(plan, name, 3)
    assert lines(capsys) == [
        "Plan, about 8 s from here:",
        "  artifacts  2 files    about 8 s",
        "  report     40 epochs  a moment",
        "  artifacts: done in 6 s",
    ]


@console()
def test_what_cannot_be_estimated_has_no_time(clock, do, capsys):
    plan = RunPlan([planned("teacher", 30.0), planned("student", None), planned("score", 5.0)], clock=clock)
    do(plan, "teacher", 3)
    do(plan, "student", 4)
    do(plan, "score", 4)
    assert lines(capsys) == [
        "Plan:",
        "  teacher  40 epochs  about 30 s",
        "  student  40 epochs",
        "  score    40 epochs  about 5 s",
        "  teacher: done in 3 s",
        "  student: done in 4 s",
    ]


def test_other_stages_pass_through(do):
    assert do(RunPlan([planned("teacher", 1.0)]), "data", 1)
