from __future__ import annotations

import contextlib
import csv
import json
import socket
import threading
from pathlib import Path

import psutil
import pytest
import yaml

from scripts import distill
from scripts.search import main
from torchseg.config import SEARCH_ENGINES
from torchseg.pipeline.search.nni.processes import marked_processes
from torchseg.pipeline.search.search import ENGINES
from torchseg.pipeline.stages import training

RUN = Path("runs/folder-search")


@pytest.fixture
def flags(pictures):
    """The smallest search there is."""
    return [
        *("--data", "folder", "--root", str(pictures), "--image_size", "32", "--workers", "0", "--threads", "1"),
        *("--teacher", "small_unet", "--teacher_arguments", "base_width=4,depth=2", "--teacher_epochs", "1"),
        *("--student_arguments", "base_width=4,depth=2", "--epochs", "1", "--engine", "optuna", "--trials", "3"),
        *(
            "--space",
            "learning_rate=0.001..0.01 log, dropout=0..0.3, temperature=1..8 log, alpha=0.1..0.9, dice=0.5..2",
        ),
    ]


@pytest.fixture
def no_export(monkeypatch):
    """A file whose size is told by the number of weights, at once."""

    def export(model, spec, path, **options):
        path.write_bytes(b"0" * sum(each.numel() for each in model.parameters()))

    monkeypatch.setattr("torchseg.pipeline.search.budget.export_onnx", export)


def _table() -> list[dict[str, str]]:
    with (RUN / "search.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_every_engine_has_a_name():
    assert tuple(ENGINES) == SEARCH_ENGINES


@pytest.mark.slow
def test_a_search_ends_with_a_table_a_picture_and_a_configuration_for_the_main_job(flags, monkeypatch, capsys):
    search = [*flags, "--space", "alpha=0.1..0.9, base_width=4|12", "--seed", "1", "--max_ms", "1000"]
    assert main([*search, "--max_kb", "60", "--budget_precision", "int8"]) == 0
    out = capsys.readouterr().out
    rows = _table()
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert {row["base_width"]: row["status"] for row in rows} == {"4": "done", "12": "over budget"}
    for row in rows:
        assert (int(row["size_bytes"]) <= 60_000) == bool(row["val_miou"])
        assert 0 < float(row["latency_ms_min"]) < 1000
    assert (RUN / "figures/search.png").is_file()
    best = max((row for row in rows if row["val_miou"]), key=lambda row: float(row["val_miou"]))
    assert f"trial {best['trial']}, {100 * float(best['val_miou']):.2f} % mean IoU" in out

    monkeypatch.setattr(
        "torchseg.pipeline.commands.distill.Chain._files", lambda chain: iter(())
    )  # has tests of its own
    assert distill.main(["--config", str(RUN / "best.yaml"), "--sparsity", "0", "--clusters", "null"]) == 0
    card = json.loads((RUN / "best/student/card.json").read_text())
    assert card["metrics"]["val_miou"] == pytest.approx(float(best["val_miou"]), abs=1e-6)


@pytest.mark.slow
def test_a_search_killed_once_ends_with_the_same_table(flags, no_export, monkeypatch, capsys):
    assert main(flags) == 0
    expected = _table()
    assert len({row["learning_rate"] for row in expected}) == 4
    fit = training.fit

    def killed(model, task, *arguments, **options):
        progress = fit(model, task, *arguments, **options)
        if task.name == "trials/002":
            raise KeyboardInterrupt
        return progress

    monkeypatch.setattr(training, "fit", killed)
    assert main([*flags, "--fresh"]) == 130
    assert [row["trial"] for row in _table()] == ["0", "1"]
    monkeypatch.setattr(training, "fit", fit)
    capsys.readouterr()
    assert main(flags) == 0
    out = capsys.readouterr().out
    assert _table() == expected
    assert "trial 1 of 3" not in out
    assert "trial 2 of 3" in out


@pytest.mark.slow
def test_a_trial_that_breaks_does_not_stop_the_others_and_more_trials_go_on(flags, no_export, monkeypatch, capsys):
    fit = training.fit

    def breaks(model, task, *arguments, **options):
        if task.name == "trials/001":
            raise RuntimeError("out of memory\nand more")
        return fit(model, task, *arguments, **options)

    monkeypatch.setattr(training, "fit", breaks)
    assert main([*flags, "--trials", "1"]) == 0
    assert "no trial beat the configuration as given" in capsys.readouterr().out
    assert main([*flags, "--trials", "2"]) == 0
    assert "trial 1 of" not in capsys.readouterr().out
    assert [row["status"] for row in _table()] == ["done", "failed", "done"]
    assert _table()[1]["note"] == "RuntimeError: out of memory"


def test_a_budget_that_nobody_meets_ends_in_one(flags, no_export, capsys):
    assert main([*flags, "--trials", "1", "--max_kb", "0.1"]) == 1
    out = capsys.readouterr().out
    assert "FAILED: no trial is within the budget of 0.1 kB; the nearest, trial 0, takes" in out
    assert not (RUN / "best.yaml").exists()


@pytest.mark.slow
def test_the_recipe_of_a_search_in_miniature(aerial_tiles, no_export):
    recipe = Path(__file__).parents[2] / "recipes/kd-levelprune-search.yaml"
    small = ["--root", str(aerial_tiles), "--image_size", "32", "--batch_size", "2", "--workers", "0"]
    short = ["--engine", "optuna", "--trials", "1", "--epochs", "1", "--teacher_epochs", "1", "--threads", "1"]
    narrow = ["--space", yaml.safe_load(recipe.read_text())["space"] + ", base_width=1|2"]
    narrow += ["--teacher_arguments", "base_width=2", "--student_arguments", "base_width=2,dropout=0.47"]
    assert main(["--config", str(recipe), *small, *short, *narrow, "--out", str(RUN)]) == 0
    assert [row["status"] for row in _table()] == ["done", "done"]
    best = yaml.safe_load((RUN / "best.yaml").read_text())
    assert (best["sparsity"], best["prune_mode"], best["clusters"]) == (0.8, "one_shot", None)


def _refused(flags, capsys):
    assert main(flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Traceback" not in error
    return error


def test_wrong_input_ends_in_two_and_one_message(flags, monkeypatch, capsys):
    for changes, message in (
        (["--engine", "optunna"], "engine is 'optunna' (did you mean 'optuna'?); choose from nni, optuna"),
        (["--space", ""], "space is empty, so there is nothing to search over"),
        (["--space", "width=4|8"], "space names width"),
        (["--trials", "0"], "try at least 1"),
        (["--max_kb", "-1"], "max_kb is -1"),
        (["--budget_precision", "fp32,int8"], "give one"),
        (["--student", "smal_unet"], "did you mean 'small_unet'"),
    ):
        assert message in _refused([*flags, *changes], capsys)
    monkeypatch.setenv("LT_CLI_USED", "1")
    assert "without the launcher" in _refused(flags, capsys)
    assert not Path("runs").exists()


def test_trials_of_different_searches_are_not_put_into_one_table(flags, no_export, capsys):
    assert main([*flags, "--trials", "1"]) == 0
    config = (RUN / "config.yaml").read_text()
    message = _refused([*flags, "--epochs", "2"], capsys)
    assert "holds a search with epochs 1, and 2 came" in message
    assert (RUN / "config.yaml").read_text() == config
    recorded = json.loads((RUN / "search.json").read_text())
    del recorded["crop"]  # as a search from before there was this flag
    (RUN / "search.json").write_text(json.dumps(recorded))
    assert "with crop random, and rare came" in _refused([*flags, "--crop", "rare"], capsys)
    assert main([*flags, "--trials", "1"]) == 0
    Path("other/.stages").mkdir(parents=True)
    assert "holds a run of another command" in _refused([*flags, "--out", "other"], capsys)


@pytest.mark.slow
def test_nni_searches_in_processes_that_all_end_whatever_becomes_of_a_trial(flags, monkeypatch, capsys):
    """One test for all of it: NNI takes many seconds to start, and some for every trial."""
    monkeypatch.setenv("HOME", str(Path("home").resolve()))
    Path("home").mkdir()
    killed, listening, over = [], set(), threading.Event()
    mark = "NNI_CONFIG_DIR", str(RUN.resolve() / "nni/config")

    def watch():
        """Kills the first trial, as the system does when memory runs out, and looks at who listens."""
        while not over.wait(0.3):
            for process in marked_processes(*mark):
                with contextlib.suppress(psutil.Error):
                    if "torchseg.pipeline.search.nni.trial" in process.cmdline() and not killed:
                        killed.append(process.pid)
                        process.kill()
                    sockets = process.net_connections("inet")
                    listening.update(each.laddr for each in sockets if each.status == psutil.CONN_LISTEN)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert main([*flags, "--engine", "nni", "--trials", "2"]) == 0
    finally:
        over.set()
        watcher.join()
    assert [row["status"] for row in _table()] == ["done", "failed", "done"]
    assert "its process ended without a result" in _table()[1]["note"]
    assert len(json.loads((RUN / "trials/002/trial.json").read_text())["validations"]) == 1
    assert (RUN / "best.yaml").is_file()

    (address,) = listening
    assert address.ip == "127.0.0.1"
    assert f"http://127.0.0.1:{address.port} until the search ends" in capsys.readouterr().out
    with socket.socket() as probe:
        assert probe.connect_ex(tuple(address))
    assert marked_processes(*mark) == []
    assert not [path for path in Path("home").rglob("*") if "nni" in path.name]
