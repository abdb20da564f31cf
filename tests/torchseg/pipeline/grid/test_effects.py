from __future__ import annotations

import math

import pytest

from torchseg.pipeline.grid.effects import Metric, main_effects, student_quantile

POINTS = Metric(column="iou", kind="difference", title="")
TIMES = Metric(column="time_ms", kind="ratio", title="")
FACTORS = {"epochs": ["50", "100"], "filters": ["32", "64", "128"]}


def rows(values, column="iou"):
    keys = [(epochs, filters) for epochs in FACTORS["epochs"] for filters in FACTORS["filters"]]
    return [{"epochs": e, "filters": f, column: str(value)} for (e, f), value in zip(keys, values, strict=True)]


@pytest.mark.parametrize(("degrees", "table"), [(1, 12.7062), (2, 4.3027), (5, 2.5706), (10, 2.2281), (100, 1.9840)])
def test_quantiles_are_those_of_the_printed_tables(degrees, table):
    assert student_quantile(degrees) == pytest.approx(table, abs=1e-4)


def test_an_effect_is_the_mean_of_paired_differences():
    effects = main_effects(rows([0.50, 0.60, 0.70, 0.52, 0.64, 0.76]), FACTORS, POINTS)
    assert [(each.factor, each.level, each.settings) for each in effects] == [
        ("epochs", "100", 3),
        ("filters", "64", 2),
        ("filters", "128", 2),
    ]
    epochs, middle, wide = effects
    # Differences 0.02, 0.04, 0.06: mean 0.04, standard deviation 0.02, t of two degrees 4.3027.
    assert epochs.value == pytest.approx(0.04)
    assert (epochs.low, epochs.high) == pytest.approx((0.04 - 0.0496829, 0.04 + 0.0496829), abs=1e-6)
    assert epochs.mean == pytest.approx(0.64)
    assert (middle.value, wide.value) == pytest.approx((0.11, 0.22))


def test_costs_are_compared_as_ratios():
    effects = main_effects(rows([1, 2, 4, 1, 4, 16], "time_ms"), FACTORS, TIMES)
    by_level = {each.level: each for each in effects}
    assert by_level["64"].value == pytest.approx(math.sqrt(2 * 4))
    assert by_level["128"].value == pytest.approx(math.sqrt(4 * 16))
    assert by_level["100"].value == pytest.approx(2)  # ratios 1, 2 and 4
    assert by_level["100"].low == pytest.approx(2 / math.exp(math.log(2) / math.sqrt(3) * 4.302653), rel=1e-4)


def test_a_cell_that_failed_takes_its_pair_with_it():
    effects = main_effects(rows([0.5, 0.6, "", 0.6, 0.7, 0.9]), FACTORS, POINTS)
    epochs = next(each for each in effects if each.factor == "epochs")
    assert (epochs.settings, epochs.value) == (2, pytest.approx(0.1))
    wide = next(each for each in effects if each.level == "128")
    assert wide.settings == 1
    assert math.isnan(wide.low)


def test_without_a_pair_there_is_no_effect():
    assert main_effects(rows(["", "", "", 1, 2, 3]), {"epochs": ["50", "100"]} | FACTORS, POINTS)[0].factor == "filters"
    assert main_effects(rows([0, 0, 0, 0, 0, 0], "time_ms"), FACTORS, TIMES) == []


def test_files_of_one_training_are_not_counted_as_independent():
    factors = {"epochs": ["50", "100"], "filters": ["32", "64"], "file": ["fp32", "fp16", "int8", "dynamic"]}
    iou = {("50", "32"): 0.5, ("50", "64"): 0.6, ("100", "32"): 0.52, ("100", "64"): 0.68}
    cells = [
        {"epochs": e, "filters": f, "file": file, "training": f"{e}-{f}", "iou": str(value + at / 1000)}
        for (e, f), value in iou.items()
        for at, file in enumerate(factors["file"])
    ]
    effects = {(each.factor, each.level): each for each in main_effects(cells, factors, POINTS)}
    epochs = effects["epochs", "100"]
    assert (epochs.settings, epochs.value) == (2, pytest.approx(0.05))
    # Differences 0.02 and 0.08 of two pairs of trainings: standard deviation 0.0424, t of one degree 12.7062.
    assert epochs.high - epochs.value == pytest.approx(0.03 * 12.7062, abs=1e-5)
    assert effects["file", "int8"].settings == 4  # one per training
    assert effects["file", "int8"].value == pytest.approx(0.002)
