from __future__ import annotations

import os
import stat
import sys

import pytest
import torch
from torch import nn

from torchseg.config import DataConfig
from torchseg.pipeline.run.dataset import open_pictures


def _result(said="", seconds=2.0, size=1234):
    return {"said": said, "seconds": seconds, "bytes": size}


def _row(network, **results):
    return {"network": network, "size": "64", "date": "2026-01-02", "results": results}


NOT_CONVERTED = _result("not converted: no such operator", 1.0, None)


def test_the_table_counts_the_right_files_of_every_converter():
    from bridge_peer_zoo_table import peer_table

    rows = [
        _row("one", ours=_result(), litert=_result(), onnx2tf=_result("wrong: everywhere")),
        _row("two", ours=_result(), litert=NOT_CONVERTED, onnx2tf=_result("does not run: no such operator")),
        _row("three", ours=NOT_CONVERTED, litert=_result(), onnx2tf=NOT_CONVERTED),
        {"network": "four", "size": "64", "date": "2026-01-02", "results": {}, "not built": "too small"},
    ]
    table = peer_table(rows, {"litert": "litert-torch 1", "onnx2tf": "onnx2tf 2"})
    assert "| this project | 2 | 0 | 0 | 1 | 66.7 % |" in table
    assert "| onnx2tf | 0 | 1 | 1 | 1 | 0.0 % |" in table
    assert "| two | 64 | right, 2 s, 1,234 bytes | not converted, 1 s | does not run, 2 s, 1,234 bytes |" in table
    assert "- two, litert-torch: not converted: no such operator" in table
    assert "- four: too small" in table
    assert table[-1] == (
        "Of the same 3 networks in fp32, these were converted rightly: this project 2, litert-torch 2, onnx2tf 0. "
        "1 by this project alone, and 1 by a peer and not by this project."
    )


def test_a_network_is_done_once_every_peer_has_a_result(tmp_path):
    from bridge_peer_zoo import _is_done

    row = _row("one", ours=_result(), litert=_result())
    assert _is_done(row, {"litert": "python"})
    assert not _is_done(row, {"litert": "python", "onnx2tf": "python"})
    assert not _is_done(None, {})
    assert _is_done({"network": "four", "results": {}, "not built": "too small"}, {"litert": "python"})


def test_what_a_child_leaves_out_ends_as_the_child_did(monkeypatch, tmp_path):
    import bridge_peer_zoo

    said = {"size": "64", "ours": _result(), "litert": "took more than 5 s"}
    monkeypatch.setattr(bridge_peer_zoo, "run_child", lambda *_, **__: said)
    flags = ["--out", str(tmp_path), "--only", "torchvision:fcn*", "--litert", "python"]
    row = bridge_peer_zoo._converted("torchvision:fcn_resnet50", bridge_peer_zoo._arguments(flags))
    assert row["results"]["ours"] == _result()
    assert row["results"]["litert"]["said"] == "not converted: took more than 5 s"


def _python(tmp_path, program):
    """A stand-in for the Python of a peer's environment."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{program}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="scripts without a suffix do not run on Windows")
@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("time.sleep(60)", "took more than 1 s"),
        ("while True: pass", "took more than 2 s of the CPU"),
        ("sys.exit('no such package')", "exit code 1: no such package"),
        ("print('hello'); print('{\"fp32\": \"no such operator\"}')", "no such operator"),
        ("print('{\"fp32\": null}')", ""),
    ],
)
def test_what_a_peer_says_is_kept(program, message, tmp_path):
    from bridge_peer_zoo_worker import run_peer

    python = _python(tmp_path, program)
    if not message:
        assert run_peer("litert", python, tmp_path, 60) == tmp_path / "litert" / "fp32.tflite"
        return
    with pytest.raises(RuntimeError, match=message):
        run_peer("litert", python, tmp_path, {"time.sleep(60)": 0.2, "while True: pass": 2}.get(program, 60))


@pytest.mark.skipif(sys.platform == "win32", reason="scripts without a suffix do not run on Windows")
def test_a_peer_finds_the_programs_of_its_own_environment(tmp_path):
    from bridge_peer_zoo_worker import run_peer

    python = _python(tmp_path, "import os; print('{\"fp32\": \"' + os.environ['PATH'] + '\"}')")
    with pytest.raises(RuntimeError, match=f"^{tmp_path}{os.pathsep}"):
        run_peer("litert", python, tmp_path, 60)


@pytest.mark.parametrize(("image_size", "shown"), [("64", "64"), ("96,160", "96x160")])
def test_the_size_in_the_table_is_that_of_both_sides(image_size, shown):
    from bridge_peer_zoo_worker import _size

    assert _size(open_pictures(DataConfig(data="scenes", image_size=image_size)).spec) == shown


@pytest.mark.slow
@pytest.mark.tflite
def test_a_file_of_another_network_is_wrong_and_that_of_the_network_right(tmp_path):
    pytest.importorskip("tensorflow")
    from bridge_peer_zoo_worker import Bench

    pictures = open_pictures(DataConfig(data="scenes", image_size="32"))
    classes = pictures.spec.num_classes
    networks = []
    for seed in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            networks.append(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, classes, 1)).eval())
    one, other = (Bench(network, pictures, tmp_path) for network in networks)
    result = one.result(one.ours)
    assert result["said"] == ""
    assert result["bytes"] == (tmp_path / "ours.tflite").stat().st_size
    assert one.result(other.ours)["said"].startswith("wrong: ")

    def refuse():
        raise RuntimeError("no such operator")

    def damage():
        path = tmp_path / "damaged.tflite"
        path.write_bytes((tmp_path / "ours.tflite").read_bytes()[:100])
        return path

    said = one.result(damage)["said"]
    assert said.startswith("does not run: it ")
    assert str(tmp_path) not in said

    assert one.result(refuse)["said"] == "not converted: no such operator"
