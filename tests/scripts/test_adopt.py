"""The adopt command, and every command that takes what it leaves."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from PIL import Image
from torch import nn
from torchvision.models import segmentation

from scripts import adopt, compress, distill, export, predict, score, verify
from torchseg.checkpoint import load_checkpoint, read_card
from torchseg.harness.csv_table import read_table
from torchseg.models import build_model, recorded
from torchseg.spec import ImageSpec
from torchseg.trusted_code import VARIABLE

CLASSES = 5
OWN = """
from torch import nn


class Net(nn.Module):
    def __init__(self, n_channels, n_classes):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        )
        self.head, self.aux = nn.Conv2d(16, n_classes, 1), nn.Conv2d(16, n_classes, 1)

    def forward(self, x):
        features = self.body(x)
        return self.head(features), self.aux(features)
"""
ONE_LOGIT = """
from torch import nn


def build(in_ch, out_ch):
    return nn.Sequential(nn.Conv2d(in_ch, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, out_ch, 1), nn.Sigmoid())
"""
SMALL = ["--image_size", "32", "--threads", "1"]
LEARN = ["--batch_size", "8", "--workers", "0", "--threads", "1"]


@pytest.fixture(autouse=True)
def _trust_nothing(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")


def _smp():
    network = smp.Unet(
        "mobilenet_v2", encoder_weights=None, classes=CLASSES, encoder_depth=3, decoder_channels=[16, 8, 8]
    )
    torch.save({"state_dict": {f"model.{key}": value for key, value in network.state_dict().items()}}, "net.ckpt")
    arguments = "encoder_depth=3,decoder_channels=[16,8,8]"
    return ["net.ckpt", "--model", "smp:Unet:mobilenet_v2", "--model_arguments", arguments]


def _torchvision():
    network = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES)
    torch.save(network.state_dict(), "net.pth")
    return ["net.pth", "--model", "torchvision:lraspp_mobilenet_v3_large"]


def _own_module():
    names = {}
    exec(OWN, names)
    torch.manual_seed(0)
    return names["Net"](3, CLASSES)


def _own_file():
    Path("my_net.py").write_text(OWN)
    torch.save(_own_module().state_dict(), "net.pth")
    return ["net.pth", "--code", "my_net.py", "--model", "Net"]


def _program():
    program = torch.export.export(_own_module().eval(), (torch.zeros(1, 3, 32, 32),))
    torch.export.save(program, "net.pt2")
    return ["net.pt2", "--trust_code", "net.pt2"]


@pytest.fixture
def data(pictures):
    return ["--data", "folder", "--root", str(pictures), *SMALL]


def _trust(checkpoint):
    code = read_card(Path(checkpoint)).code
    return ["--trust_code", code["sha256"]] if code else []


@pytest.mark.slow
@pytest.mark.parametrize("write", [_smp, _torchvision, _own_file])
def test_an_adopted_network_is_pruned_clustered_exported_and_certified(write, data, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["scripts/adopt.py"])
    assert adopt.main([*write(), *data, "--out", "run"]) == 0
    printed = capsys.readouterr().out
    trust = _trust("run/adopted")
    assert f"  next     python scripts/compress.py run/adopted{' '.join(['', *trust])}\n" in printed
    assert "% mean IoU on the validation split." in printed

    flags = ["--sparsity", "0.5", "--clusters", "8", "--prune_epochs", "9", "--cluster_epochs", "1", *LEARN]
    assert compress.main(["run/adopted", *flags, *trust]) == 0
    clustered = "run/compressed/clustered"
    totals = [row for row in read_table(Path("run/compressed/ledger.csv")) if row["tensor"] == "total"]
    assert [row["stage"] for row in totals] == ["original", "pruned", "clustered"]
    assert float(totals[2]["sparsity"]) == pytest.approx(0.5, abs=0.02)
    assert int(totals[2]["unique_per_channel"]) <= 8
    for checkpoint in ("run/adopted", clustered):
        files = ["--formats", "onnx", "--precisions", "fp32,int8", "--threads", "1", "--workers", "0"]
        assert export.main([checkpoint, *files, *trust]) == 0


@pytest.mark.slow
@pytest.mark.tflite
@pytest.mark.parametrize("write", [_smp, _torchvision, _own_file])
def test_an_adopted_network_becomes_certified_tflite_files(write, data, monkeypatch):
    pytest.importorskip("tensorflow")
    assert adopt.main([*write(), *data, "--out", "run"]) == 0
    files = ["--formats", "tflite", "--precisions", "fp32,int8", "--threads", "1", "--workers", "0"]
    assert export.main(["run/adopted", *files, *_trust("run/adopted")]) == 0
    certificates = {path.name: json.loads(path.read_text()) for path in Path("run").rglob("*.tflite.json")}
    assert set(certificates) == {"adopted.fp32.tflite.json", "adopted.int8.tflite.json"}
    assert [each["verdict"]["failures"] for each in certificates.values()] == [[], []]


@pytest.mark.slow
def test_every_command_takes_an_adopted_network_of_an_own_file(data, monkeypatch, capsys, pictures):
    assert adopt.main([*_own_file(), *data, "--out", "run"]) == 0
    trust = _trust("run/adopted")
    image = str(next(Path(pictures).glob("images/*")))
    assert export.main(["run/adopted", "--formats", "onnx", "--precisions", "fp32", "--threads", "1", *trust]) == 0
    file = "run/artifacts/adopted.fp32.onnx"
    assert verify.main([file, "--threads", "1", *trust]) == 0
    assert predict.main(["run/adopted", image, "--out", "masks", "--threads", "1", *trust]) == 0
    assert score.main(["run", "--thread_counts", "1", *trust]) == 0
    rows = {row["artifact"]: row for row in read_table(Path("run/scores.csv"))}
    assert {"adopted/model.safetensors", "artifacts/adopted.fp32.onnx"} == set(rows)
    assert rows["artifacts/adopted.fp32.onnx"]["miou"] == rows["adopted/model.safetensors"]["miou"]
    shrink = ["--channel_sparsity", "0.5", "--channel_epochs", "1", "--sparsity", "0", "--clusters", "null"]
    assert compress.main(["run/adopted", *shrink, *LEARN, *trust, "--out", "narrow"]) == 0
    assert load_widths("narrow/channel_pruned", trust, monkeypatch) == [8, 8]
    qat = ["--formats", "onnx", "--precisions", "int8", "--qat_epochs", "1", "--threads", "1", "--workers", "0"]
    assert export.main(["narrow/channel_pruned", *qat, *trust]) == 0


def load_widths(checkpoint, trust, monkeypatch):
    monkeypatch.setenv(VARIABLE, trust[1])
    network, _ = load_checkpoint(Path(checkpoint))
    monkeypatch.setenv(VARIABLE, "")
    return [layer.out_channels for layer in network.modules() if isinstance(layer, nn.Conv2d)][:2]


@pytest.mark.slow
@pytest.mark.parametrize("student", [["small_unet", "base_width=16,depth=1"], ["code:my_net.py:Net", ""]])
def test_a_student_learns_from_an_adopted_teacher(student, data, pictures):
    assert adopt.main([*_own_file(), *data, "--out", "run"]) == 0
    flags = ["--student", student[0], "--student_arguments", student[1], "--epochs", "1", "--out", "distilled"]
    flags += ["--sparsity", "0", "--clusters", "null", "--formats", "onnx", "--precisions", "fp32"]
    given = ["--teacher_checkpoint", "run/adopted", *_trust("run/adopted")]
    assert distill.main([*data, *flags, *given, "--batch_size", "8", "--workers", "0"]) == 0
    card = read_card(Path("distilled/student"))
    assert set(card.parents) == {"teacher"}
    assert card.builder == ("code:my_net.py:Net" if student[1] == "" else "small_unet")


@pytest.mark.slow
def test_a_program_is_exported_and_scored_but_not_compressed(data, refusal, capsys):
    assert adopt.main([*_program(), *data, "--out", "run"]) == 0
    printed = capsys.readouterr().out
    assert "it can be exported, scored and distilled from, but not compressed" in printed
    assert "compress.py" not in printed
    trust = _trust("run/adopted")
    files = ["--formats", "onnx", "--precisions", "fp32,int8", "--threads", "1", "--workers", "0"]
    assert export.main(["run/adopted", *files, *trust]) == 0
    assert score.main(["run", "--thread_counts", "1", *trust]) == 0
    capsys.readouterr()
    assert compress.main(["run/adopted", *LEARN, *trust]) == 2
    assert "is a program without layers" in refusal()


@pytest.mark.slow
def test_one_logit_works_as_two_classes(pictures):
    """In training, in the scores and in both kinds of files."""
    for mask in Path(pictures).glob("masks/*.png"):
        Image.fromarray((np.asarray(Image.open(mask)) > 0).astype(np.uint8)).save(mask)
    (Path(pictures) / "classes.txt").write_text("background\nthing\n")
    Path("one.py").write_text(ONE_LOGIT)
    layers = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 1, 1))
    torch.save(layers.state_dict(), "one.pth")
    given = ["one.pth", "--code", "one.py", "--model", "build"]
    assert adopt.main([*given, "--data", "folder", "--root", str(pictures), *SMALL, "--out", "run"]) == 0
    outputs = read_card(Path("run/adopted")).outputs
    assert (outputs["channels"], outputs["activation"], outputs["last"]) == (1, "sigmoid", "3")
    trust = _trust("run/adopted")
    flags = ["--sparsity", "0.5", "--clusters", "8", "--prune_epochs", "9", "--cluster_epochs", "1", *LEARN, *trust]
    assert compress.main(["run/adopted", *flags]) == 0
    files = ["--formats", "onnx", "--precisions", "fp32,int8", "--threads", "1", "--workers", "0"]
    assert export.main(["run/compressed/clustered", *files, *trust]) == 0


def test_a_second_call_does_nothing_again(data, capsys):
    command = [*_own_file(), *data, "--out", "run"]
    assert adopt.main(command) == 0
    before = Path("run/adopted/model.safetensors").stat().st_mtime_ns
    assert adopt.main(command) == 0
    assert Path("run/adopted/model.safetensors").stat().st_mtime_ns == before
    assert Path("run/adopted/my_net.py").read_text() == OWN


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--num_classes", "21"], "--num_classes is 21 and the data has 5"),
        (["--classes", "a,b"], "--classes names 2 classes and the data has 5"),
        (["--scaling", "0-2"], "scaling is '0-2'"),
        (["--mean", "0,0,0"], "--mean and --std belong together"),
        (["--output", "2"], "--output is '2'; the network returns 0, 1"),
        (["--key", "ema"], "--key is 'ema'; net.pth has none"),
    ],
)
def test_flags_that_do_not_fit_are_answered(more, message, data, refusal):
    assert adopt.main([*_own_file(), *data, "--out", "run", *more]) == 2
    assert message in refusal()
    assert not Path("run").exists()


def test_a_run_of_a_stranger_runs_no_code(data, refusal, monkeypatch, capsys):
    """Neither its checkpoint, nor its config, nor both together."""
    assert adopt.main([*_own_file(), *data, "--out", "run"]) == 0
    capsys.readouterr()
    Path("it_ran").unlink(missing_ok=True)
    Path("evil.py").write_text("from pathlib import Path\nPath('it_ran').touch()\n" + OWN)
    for command, flags in ((export, []), (compress, LEARN), (predict, ["my_net.py"])):
        assert command.main(["run/adopted", *flags]) == 2
        assert "nothing of it has run" in refusal()
    Path("theirs.yaml").write_text("code: evil.py\nmodel: Net\n")
    assert adopt.main(["net.pth", "--config", "theirs.yaml", *data, "--out", "other"]) == 2
    assert "nothing of it has run" in refusal()
    assert not Path("it_ran").exists()


class _Attack:
    def __reduce__(self):
        return exec, ("open('it_ran', 'w')",)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("net.pth", pickle.dumps({"state_dict": _Attack()}, protocol=2)),
        ("net.safetensors", struct.pack("<Q", 100 * 2**30) + b'{"'),
        ("net.pt", b"PK\x05\x06" + bytes(18)),
    ],
    ids=["a pickle that runs Python", "a header of 100 GB", "an empty archive"],
)
def test_hostile_files_end_with_one_message(name, content, data, refusal):
    Path(name).write_bytes(content)
    assert adopt.main([name, "--model", "unet", *data, "--out", "run"]) == 2
    assert name in refusal()
    assert not Path("it_ran").exists()
    assert not Path("run").exists()


def test_a_network_of_this_project_keeps_its_name(data):
    assert recorded("unet") == {"builder": "unet"}
    spec = ImageSpec(height=32, width=32, classes=tuple("abcde"))
    network = build_model("small_unet", {"base_width": 16, "depth": 1}, spec)
    torch.save(network.state_dict(), "net.pth")
    assert adopt.main(["net.pth", "--model", "small_unet", "--model_arguments", "base_width=16,depth=1", *data]) == 0
    card = read_card(Path("runs/folder-adopted/adopted"))
    assert (card.builder, card.outputs) == ("small_unet", {})
    assert card.spec.mean == (0.485, 0.456, 0.406)
