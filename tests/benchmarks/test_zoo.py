from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tf_bridge.conversion import Conversion
from torchseg.config import DataConfig
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.run.dataset import open_pictures


def _arguments(*flags: str, tmp_path: Path):
    import zoo

    return zoo._arguments(["--out", str(tmp_path), *flags])


def test_only_takes_exact_names(tmp_path):
    assert list(_arguments("--only", "smp:Unet:resnet18", tmp_path=tmp_path).networks) == ["smp:Unet:resnet18"]


def test_only_takes_patterns(tmp_path):
    networks = list(_arguments("--only", "smp:*:resnet18", "torchvision:*", tmp_path=tmp_path).networks)
    assert len(networks) == 12 + 4
    assert {"smp:Unet:resnet18", "smp:UnetPlusPlus:resnet18", "torchvision:fcn_resnet50"} < set(networks)


def test_a_name_that_no_network_has_is_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        _arguments("--only", "Unet", tmp_path=tmp_path)
    assert "--only Unet is no network; give names such as smp:Unet:resnet18" in capsys.readouterr().err


def test_networks_from_files_are_named_without_the_folder_and_by_their_repository(tmp_path):
    (tmp_path / "networks.txt").write_text("# mine\nnets.py:Mine\n\nnets.py:Theirs someone/segmentation\n")
    networks = _arguments("--families", "--code", str(tmp_path / "networks.txt"), tmp_path=tmp_path).networks
    assert networks == {
        "code:nets.py:Mine": f"code:{tmp_path}/nets.py:Mine",
        "someone/segmentation:Theirs": f"code:{tmp_path}/nets.py:Theirs",
    }


def test_a_line_that_names_no_network_is_an_error(tmp_path, capsys):
    (tmp_path / "networks.txt").write_text("nets.py Mine\n")
    with pytest.raises(SystemExit, match="2"):
        _arguments("--code", str(tmp_path / "networks.txt"), tmp_path=tmp_path)
    assert "has the line 'nets.py Mine'; give FILE.py:NAME or FILE.py:NAME OWNER/REPOSITORY" in capsys.readouterr().err


def test_a_timeout_keeps_what_was_done_before_it(monkeypatch):
    import zoo_child

    def late(*_: object, **options: float) -> None:
        said = b'a library says hello\n{"fp32 onnx": ""}\n{"int8 onnx": "wrong: all of it"}\n{"fp32 tfl'
        raise subprocess.TimeoutExpired("python", options["timeout"], output=said)

    monkeypatch.setattr(subprocess, "run", late)
    files = zoo_child.run_child("child.py", {}, ["fp32 onnx", "int8 onnx", "fp32 tflite"], limit_s=5)
    assert files == {"fp32 onnx": "", "int8 onnx": "wrong: all of it", "fp32 tflite": "took more than 5 s"}


def test_a_child_that_dies_keeps_what_was_done_before_it(monkeypatch):
    import zoo_child

    died = subprocess.CompletedProcess([], -11, stdout=b'{"fp32 onnx": ""}\n', stderr=b"Fatal Python error\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: died)
    files = zoo_child.run_child("child.py", {}, ["fp32 onnx", "int8 onnx"], limit_s=5)
    assert files["fp32 onnx"] == ""
    assert files["int8 onnx"].startswith("DIED: ")
    assert files["int8 onnx"].endswith("Fatal Python error")


def test_the_table_counts_every_outcome_and_says_why():
    from zoo_table import zoo_table

    outcomes = ["", "refused: no", "wrong: much", "took more than 5 s", "ill-conditioned: in PyTorch"]
    rows = [
        {
            "network": f"net{index}",
            "size": "96,160",
            "date": "2026-01-02",
            "seconds": 1.0,
            "proof": index != 1,
            "files": {"fp32 onnx": said},
        }
        for index, said in enumerate(outcomes)
    ]
    rows.append(
        {"network": "none", "size": "64", "date": "2026-01-03", "seconds": 1.0, "files": {"not built": "small"}}
    )
    table = zoo_table(rows)
    assert "| fp32 onnx | 1 | 1 | 1 | 1 | 1 | 20.0 % |" in table
    assert "| net0 | 96x160 | right |" in table
    assert "| net1 * | 96x160 | refused |" in table
    assert any(line.startswith("Rows marked with * (1 of 5) are of an earlier version") for line in table)
    assert "- net3 96x160, fp32 onnx: took more than 5 s" in table
    assert "- none 64: small" in table
    assert any(line.endswith("2026-01-02 to 2026-01-03.") for line in table)


class Swapped(nn.Module):
    """The network with two of its classes exchanged, as a faulty file would have them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image)[:, [1, 0, *range(2, 5)]]


def _random_network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inner = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()) for _ in range(3)]
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *inner, nn.Conv2d(8, 5, 1)).eval()


@pytest.fixture(scope="module")
def pictures():
    return open_pictures(DataConfig(data="scenes", image_size="32"))


@pytest.fixture(scope="module")
def judge(benchmarks, pictures):
    from zoo_worker import Judge

    return Judge(Conversion(_random_network(), pictures.spec), pictures)


@pytest.mark.slow
def test_an_int8_file_of_another_network_is_wrong_even_where_rounding_costs_much(judge, monkeypatch, tmp_path):
    monkeypatch.setattr("zoo_worker.MEAN_ERROR", 0.0)  # rounding costs this network more than the limit
    assert judge.problem("onnx", Precision.INT8) == ""
    swapped = Conversion(Swapped(judge.conversion.model), judge.spec)
    monkeypatch.setattr(judge.conversion, "write", swapped.write)
    assert "times what rounding costs in PyTorch" in judge.problem("onnx", Precision.INT8)


def test_a_network_that_float32_cannot_compute_is_ill_conditioned(judge, pictures):
    from zoo_worker import Judge

    class Cancelling(nn.Module):
        """Adds and subtracts so much that little is left of the logits in float32."""

        def forward(self, image: Tensor) -> Tensor:
            return torch.cat([image, image[:, :2]], dim=1) * 1e-3 + 1e5 - 1e5

    assert "largest logit error" in Judge(Conversion(Cancelling(), judge.spec), pictures)._ill_conditioned
    assert judge._ill_conditioned == ""


def test_the_table_says_what_made_it(tmp_path):
    from zoo_table import write_table

    write_table(["# Networks"], tmp_path / "zoo.md", None)
    assert (tmp_path / "zoo.md").read_text(encoding="utf-8").startswith("# Networks\n\nMade by `python ")
