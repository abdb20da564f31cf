from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from torchseg.config import TrainConfig
from torchseg.console import STDOUT, console
from torchseg.pipeline.run.session import ENVIRONMENT, decide, launch, open_session, recorded_training


@pytest.fixture(params=[False, True], ids=["without bf16", "with bf16"])
def has_bf16(request, monkeypatch):
    """A machine of either kind."""
    monkeypatch.setattr("torchseg.train.precision._has_bf16", lambda device: request.param)
    return request.param


def _fabric(processes=1, device="cpu"):
    return SimpleNamespace(world_size=processes, device=torch.device(device), is_global_zero=True)


def _begun(run, **training):
    run.mkdir(exist_ok=True)
    (run / "environment.json").write_text(json.dumps({"training": training}))


def test_a_new_run_trains_in_what_the_machine_computes_in(has_bf16, tmp_path):
    decided = decide(TrainConfig(), _fabric(), tmp_path)
    assert (decided.training_precision, decided.micro_batches) == ("bf16" if has_bf16 else "fp32", 2)


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_a_flag_beats_the_machine_and_what_the_run_was_begun_with(wanted, has_bf16, tmp_path):
    _begun(tmp_path, training_precision="fp32" if wanted == "bf16" else "bf16", micro_batches=2)
    config = TrainConfig(training_precision=wanted, micro_batches=1)
    decided = decide(config, _fabric(), tmp_path)
    assert (decided.training_precision, decided.micro_batches) == (wanted, 1)


@pytest.mark.parametrize("begun", ["fp32", "bf16"])
def test_a_run_goes_on_with_what_it_was_begun_with_on_every_machine(begun, has_bf16, tmp_path, capsys):
    _begun(tmp_path, training_precision=begun, micro_batches=1)
    with console():
        decided = decide(TrainConfig(), _fabric(), tmp_path)
    assert (decided.training_precision, decided.micro_batches) == (begun, 1)
    printed = capsys.readouterr().out
    assert ("which this machine only emulates" in printed) == (begun == "bf16" and not has_bf16)


def test_starting_over_forgets_what_the_run_was_begun_with(has_bf16, tmp_path):
    _begun(tmp_path, training_precision="fp32" if has_bf16 else "bf16", micro_batches=1)
    decided = decide(TrainConfig(fresh=True), _fabric(), tmp_path)
    assert (decided.training_precision, decided.micro_batches) == ("bf16" if has_bf16 else "fp32", 2)


@pytest.mark.parametrize("text", ["", "[]", '{"training": 3}', '{"training": {"training_precision": "fp8"}}'])
def test_a_record_that_cannot_be_read_decides_nothing(text, tmp_path):
    (tmp_path / "environment.json").write_text(text)
    assert recorded_training(tmp_path) == {}


def test_a_gpu_and_small_batches_take_whole_ones(monkeypatch, tmp_path):
    monkeypatch.setattr("torchseg.train.precision._has_bf16", lambda device: False)
    assert decide(TrainConfig(), _fabric(device="cuda"), tmp_path).micro_batches == 1
    assert decide(TrainConfig(batch_size=3), _fabric(), tmp_path).micro_batches == 1


def test_a_run_goes_on_with_batches_too_small_for_what_it_was_begun_with(tmp_path):
    _begun(tmp_path, training_precision="fp32", micro_batches=2)
    assert decide(TrainConfig(batch_size=2), _fabric(), tmp_path).micro_batches == 1


def test_several_processes_take_batches_whole_and_say_so(tmp_path, capsys):
    assert decide(TrainConfig(), _fabric(processes=2), tmp_path).micro_batches == 1
    _begun(tmp_path, training_precision="fp32", micro_batches=2)
    with console():
        assert decide(TrainConfig(), _fabric(processes=2), tmp_path).micro_batches == 1
    assert "several processes use whole batches and train again" in capsys.readouterr().out
    with pytest.raises(ValueError, match="several processes use whole batches; give 1 or auto"):
        decide(TrainConfig(micro_batches=2), _fabric(processes=2), tmp_path)


def test_flag_and_launcher_must_not_contradict_each_other(monkeypatch, tmp_path):
    monkeypatch.setenv("LT_CLI_USED", "1")
    monkeypatch.setenv("LT_PRECISION", "bf16-mixed")
    assert decide(TrainConfig(), _fabric(), tmp_path).training_precision == "bf16"
    with pytest.raises(ValueError, match="the launcher's --precision is bf16-mixed; give one of them"):
        decide(TrainConfig(training_precision="fp32"), _fabric(), tmp_path)
    monkeypatch.setenv("LT_PRECISION", "64-true")
    with pytest.raises(ValueError, match="64-true; this training knows 32-true, 32, bf16-mixed"):
        decide(TrainConfig(), _fabric(), tmp_path)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device is cuda, but PyTorch finds no GPU"):
        launch(TrainConfig(device="cuda"))
    assert launch(TrainConfig()).device.type == "cpu"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_environment_says_what_was_decided_and_the_configuration_what_was_asked_for(precision, tmp_path):
    config = TrainConfig(out=tmp_path / "run", training_precision=precision, workers=0, threads=1)
    with open_session(config) as session:
        assert session.config == replace(config, micro_batches=2)
    assert recorded_training(config.run) == {"training_precision": precision, "micro_batches": 2}
    assert json.loads((config.run / ENVIRONMENT).read_text())["training"] == {
        "training_precision": precision,
        "micro_batches": 2,
        "device": "cpu",
        "processes": 1,
        "workers": 0,
    }
    assert "micro_batches: auto" in (config.run / "config.yaml").read_text()


def test_what_the_user_is_told_is_in_the_log_as_well(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("torchseg.train.precision._has_bf16", lambda device: False)
    config = TrainConfig(out=tmp_path / "run", workers=0, threads=1)
    with open_session(config):
        pass
    _begun(config.run, training_precision="bf16", micro_batches=2)
    with console(), open_session(config):
        STDOUT.info("  trained: epoch 1 of 5")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{config.run} was started with bf16, which this machine only emulates")
    assert second == "  trained: epoch 1 of 5"
    told = [line.partition(" INFO torchseg.stdout: ") for line in (config.run / "run.log").read_text().splitlines()]
    assert [text for _, name, text in told if name] == [first, second]


def test_a_run_that_starts_over_has_a_log_of_its_own(tmp_path):
    config = TrainConfig(out=tmp_path / "run", workers=0, threads=1, fresh=True)
    for line in ("an earlier run", "this run"):
        with open_session(config):
            STDOUT.info(line)
    assert (config.run / "run.log").read_text().endswith("INFO torchseg.stdout: this run\n")
    assert "earlier" not in (config.run / "run.log").read_text()
