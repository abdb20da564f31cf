"""The colours of precision-recall curves."""

from __future__ import annotations

from types import SimpleNamespace

from torchseg.harness.report.charts.precision_recall import curve_colours
from torchseg.harness.report.run_record import stage_colours


def run_of(stages: dict[str, str]) -> SimpleNamespace:
    return SimpleNamespace(
        curves={},
        scores=[{"artifact": name, "stage": stage, "format": "torch"} for name, stage in stages.items()],
        precision_recall=[{"artifact": name, "runtime": "torch", "class": "sky"} for name in stages],
    )


def test_a_curve_has_the_colour_of_its_stage_as_in_every_other_chart():
    run = run_of({"c/model": "clustered", "t/model": "teacher", "s/model": "student"})
    shades = stage_colours(run)
    assert curve_colours(run) == {
        "t/model": shades["teacher"],
        "s/model": shades["student"],
        "c/model": shades["clustered"],
    }


def test_two_files_of_one_stage_have_colours_of_their_own():
    run = run_of({"a/model": "student", "b/model": "student"})
    assert sorted(curve_colours(run).values()) == [0, 1]
