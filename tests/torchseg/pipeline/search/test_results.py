from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import yaml

from torchseg.config import DistillConfig, SearchConfig
from torchseg.pipeline.search.budget import SearchBudget
from torchseg.pipeline.search.record import TrialRecord
from torchseg.pipeline.search.results import best_trial, save_search_figure, write_best, write_table

CONFIG = SearchConfig(space="alpha=0.1..0.9, base_width=4|8, dice=0.1..10 log", out=Path("here"))
BUDGET = SearchBudget(max_bytes=1000)
RECORDS = [
    TrialRecord(number=0, status="done", val_miou=0.4, size_bytes=900),
    TrialRecord(
        number=1, status="done", parameters={"alpha": 0.2, "base_width": 4, "dice": 2.0}, val_miou=0.5, size_bytes=300
    ),
    TrialRecord(
        number=2,
        status="over budget",
        parameters={"alpha": 0.3, "base_width": 8, "dice": 1.0},
        size_bytes=1100,
        overrun=0.1,
    ),
    TrialRecord(number=3, status="failed", note="RuntimeError: broken"),
]


def test_the_table_has_a_row_for_each_trial_and_leaves_open_what_nobody_knows(tmp_path):
    write_table(tmp_path / "search.csv", RECORDS, CONFIG, BUDGET)
    with (tmp_path / "search.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["done", "done", "over budget", "failed"]
    assert [row["val_miou"] for row in rows] == ["0.4", "0.5", "", ""]
    assert [row["alpha"] for row in rows] == ["0.5", "0.2", "0.3", ""]
    assert {row["max_bytes"] for row in rows} == {"1000"}
    assert rows[3]["note"] == "RuntimeError: broken"


def test_the_table_keeps_its_bytes(tmp_path):
    config = SearchConfig(space="batch_norm=true|false, learning_rate=1e-5..1e-2 log", out=Path("here"))
    tried = TrialRecord(number=1, status="done", parameters={"batch_norm": False, "learning_rate": 1e-05}, val_miou=0.5)
    write_table(tmp_path / "search.csv", [tried], config, BUDGET)
    assert (tmp_path / "search.csv").read_bytes() == (
        b"trial,status,val_miou,size_bytes,max_bytes,latency_ms_min,max_ms,multiply_adds,batch_norm,learning_rate,"
        b"seconds,note\r\n1,done,0.5,,1000,,,,False,1e-05,0.0,\r\n"
    )


def test_the_best_is_within_budget_and_the_first_of_equals():
    assert best_trial(RECORDS).number == 1
    assert best_trial([*RECORDS, TrialRecord(number=4, status="done", val_miou=0.5)]).number == 1
    assert best_trial(RECORDS[2:]) is None


def test_the_best_configuration_is_one_that_distill_takes(tmp_path):
    write_best(tmp_path / "best.yaml", RECORDS[1], CONFIG, epochs=3)
    values = yaml.safe_load((tmp_path / "best.yaml").read_text())
    values |= {name: Path(values[name]) for name in ("out", "teacher_checkpoint")}
    assert DistillConfig(**values) == DistillConfig(
        student="fast_unet",
        alpha=0.2,
        loss="cross_entropy+2.0*dice",
        student_arguments="base_width=4",
        epochs=3,
        out=Path("here/best"),
        teacher_checkpoint=Path("here/teacher"),
    )


def test_the_best_configuration_takes_the_teacher_of_the_last_round(tmp_path):
    write_best(tmp_path / "best.yaml", RECORDS[1], replace(CONFIG, teacher_rounds=2), epochs=3)
    values = yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert (values["teacher_checkpoint"], values["teacher_rounds"]) == (str(Path("here/teacher")), 1)


def test_the_picture_is_drawn_whatever_became_of_the_trials(tmp_path):
    for records in (RECORDS, RECORDS[3:]):
        save_search_figure(tmp_path / "search.png", records, CONFIG.ranges, BUDGET)
        assert (tmp_path / "search.png").stat().st_size > 10_000
