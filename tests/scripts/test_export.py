"""`scripts/export.py` with a budget and with a short training for int8, on a network that int8 does not suit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scripts import export, verify
from torchseg.checkpoint import Card, load_checkpoint, read_card, save_checkpoint
from torchseg.config import DistillConfig, ExportConfig
from torchseg.models import build_model
from torchseg.pipeline.export.exporter import NetworkExport
from torchseg.pipeline.run.dataset import open_pictures
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.run.session import write_record

RUN = Path("run")
OUTLIER = 1000.0


@pytest.fixture
def run(pictures):
    """A run with one network: a channel of its stem is large and its weights in the next layer are small.

    The masks are what this network sees, so that whatever int8 changes costs accuracy.
    """
    config = DistillConfig(data="folder", root=pictures, image_size="32")
    spec = open_pictures(config).spec
    network = build_model("unet", {"base_width": 4, "depth": 1}, spec)
    with torch.no_grad():
        network.stem[1].weight[0], network.stem[1].bias[0] = OUTLIER, OUTLIER
        network.stem[3].weight[:, 0] /= OUTLIER
    _paint_masks(network.eval(), spec, pictures)
    RunFolder(RUN)
    write_record(config, RUN)
    card = Card(builder="unet", arguments={"base_width": 4, "depth": 1}, spec=spec, stage="student")
    save_checkpoint(network, card, RUN / "student")
    return RUN


@torch.no_grad()
def _paint_masks(network, spec, root):
    files = sorted((root / "images").iterdir())
    images = torch.from_numpy(spec.prepare(np.stack([np.asarray(Image.open(file)) for file in files])))
    network.head.bias -= network(images).mean(dim=(0, 2, 3))  # no class is seen everywhere
    for file, mask in zip(files, network(images).argmax(1).numpy().astype(np.uint8), strict=True):
        Image.fromarray(mask).save(root / "masks" / file.name)


def _certificate(name: str) -> dict:
    return json.loads((RUN / "artifacts" / name).with_suffix(".onnx.json").read_text())


ONNX_INT8 = ["--formats", "onnx", "--precisions", "int8", "--threads", "1"]


@pytest.mark.slow
def test_a_budget_leaves_only_the_layers_in_float_that_need_it(run, capsys):
    assert export.main([str(run / "student"), *ONNX_INT8, "--max_drop", "10"]) == 0
    certificate = _certificate("student.int8.onnx")
    assert set(certificate["float_layers"]) <= {"stem.0", "stem.3"}
    assert certificate["float_layers"]
    assert certificate["float_latency_ratio"] > 0
    assert certificate["thresholds"] == {"max_miou_drop": 0.1, "max_class_drop": 0.4}
    assert "in float, which takes" in capsys.readouterr().out
    assert verify.main([str(run / "artifacts/student.int8.onnx")]) == 1
    assert "made with limits of its own; by the standard ones, mean IoU drops by" in capsys.readouterr().out


def test_a_budget_that_nothing_holds_ends_in_one_sentence_and_one(run, monkeypatch, capsys):
    failed = {
        "precision": "int8",
        "differences": {"argmax_agreement": 0.9},
        "verdict": {"passed": False, "failures": ["mean IoU drops by 0.1; expected at most 0.005"]},
    }
    monkeypatch.setattr(NetworkExport, "export", lambda *_, **__: failed)
    assert export.main([str(run / "student"), *ONNX_INT8, "--max_drop", "0.5"]) == 1
    assert "expected at most 0.005; leaving layers in float does not hold that budget" in capsys.readouterr().out


@pytest.mark.slow
def test_a_short_training_leaves_a_plain_checkpoint_and_its_files_once(run, capsys):
    flags = [str(run / "student"), *ONNX_INT8, "--qat_epochs", "1", "--max_drop", "100"]
    assert export.main(flags) == 0
    card = read_card(run / "student_qat")
    assert card.stage == "student_qat"
    assert set(card.parents) == {"student"}
    before, _ = load_checkpoint(run / "student")
    after, _ = load_checkpoint(run / "student_qat")
    assert set(before.state_dict()) == set(after.state_dict())
    assert not torch.equal(before.head.weight, after.head.weight)
    assert torch.equal(before.stem[1].running_var, after.stem[1].running_var)
    assert _certificate("student_qat.int8.onnx")["verdict"]["passed"]

    weights = run / "student_qat/model.safetensors"
    written = weights.stat().st_mtime_ns
    assert export.main(flags) == 0
    assert weights.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"max_drop": 0.0}, "max_drop is 0.0; give points of IoU above 0"),
        ({"max_drop": 0.5, "max_class_drop": -1.0}, "max_class_drop is -1.0"),
        ({"max_class_drop": 2.0}, "max_class_drop is given without max_drop"),
        ({"qat_epochs": -1}, "qat_epochs is -1; give 0 or more"),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        ExportConfig(checkpoint=Path("student"), **flags)
