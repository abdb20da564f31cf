import json
from pathlib import Path

import pytest

from torchseg.pipeline.export import trial
from torchseg.pipeline.export.trial import check_refusals, planned, refusals, trial_stage
from torchseg.pipeline.run.folder import RunFolder
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=64, width=64, classes=("road", "tree"))
CARD = planned("smp:Unet:resnet18", "decoder_channels=[16,8,8,4,4]", SPEC, stage="student")


def test_formats_that_work_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"student network smp:Unet:resnet18 cannot .* to tflite: no median\. .*--formats onnx,"
    ):
        check_refusals(CARD, {"onnx": "", "tflite": "no median"}, ["onnx", "tflite"])


def test_a_network_that_no_format_holds_needs_a_successor() -> None:
    with pytest.raises(
        ValueError, match=r"to onnx: no roll; to tflite: no median\. Nothing was trained: choose another"
    ):
        check_refusals(CARD, {"onnx": "no roll", "tflite": "no median"}, ["onnx", "tflite"])


def test_formats_that_nobody_asked_for_may_fail() -> None:
    check_refusals(CARD, {"onnx": "", "tflite": "no median"}, ["onnx"])


def test_networks_of_this_project_are_not_tried() -> None:
    own = planned("unet", "depth=2", SPEC, stage="student")
    assert list(trial_stage(own, ["onnx", "tflite"])) == []
    assert list(trial_stage(CARD, [])) == []


def test_a_run_tries_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refused(card: trial.Card, formats: list[str]) -> trial.Refusals:
        calls.append((card, formats))
        return {"onnx": "", "tflite": "no median"}

    monkeypatch.setattr(trial, "refusals", refused)
    folder = RunFolder(tmp_path / "run")
    for formats in (["onnx"], ["onnx"]):
        for stage in trial_stage(CARD, formats):
            folder.do(stage)
    assert calls == [(CARD, ["onnx"])]
    assert json.loads((folder.path / "export_trials/student.json").read_text(encoding="utf-8"))["tflite"] == "no median"
    with pytest.raises(ValueError, match="to tflite: no median"):
        folder.do(next(trial_stage(CARD, ["tflite"])))


def test_a_child_process_that_dies_refuses_nothing(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setattr(trial, "_request", lambda card: {"builder": "no such network"})
    assert refusals(CARD) == {}
    assert "whether smp:Unet:resnet18 can be exported was not tried: exit code 1" in caplog.text


@pytest.mark.slow
@pytest.mark.tflite
@pytest.mark.filterwarnings("ignore:.*encoders are deprecated:DeprecationWarning")
def test_a_network_of_segmentation_models_is_translated_to_both_formats() -> None:
    pytest.importorskip("tensorflow")
    assert refusals(CARD) == {"onnx": "", "tflite": ""}
