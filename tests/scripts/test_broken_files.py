"""Model files from strangers: every command refuses what it cannot use with exit code 2 and one message."""

from __future__ import annotations

import shutil

import onnx
import pytest
import yaml
from onnx import TensorProto

from scripts import import_tf, predict, score
from torchseg.pipeline.run.lock import locked

BROKEN = ["empty", "text", "zip", "cut", "folder", "outside"]


def break_file(kind, good, path):
    content = good.read_bytes()
    if kind == "folder":
        return path.mkdir()
    if kind == "outside":
        model = onnx.load(good)
        model.graph.initializer[0].ClearField("raw_data")
        model.graph.initializer[0].data_location = TensorProto.EXTERNAL
        model.graph.initializer[0].external_data.add(key="location", value="../../secret")
        content = model.SerializeToString()
    contents = {"empty": b"", "text": b"hello", "zip": b"PK\x03\x04", "cut": content[:-20], "outside": content}
    return path.write_bytes(contents[kind])


@pytest.mark.parametrize("kind", BROKEN)
def test_predict_refuses_it(kind, good_file, pictures, tmp_path, refusal):
    path = tmp_path / "stranger.onnx"
    break_file(kind, good_file, path)
    assert predict.main([str(path), str(pictures / "images"), "--threads", "1"]) == 2
    assert "stranger.onnx" in refusal()


@pytest.mark.parametrize("kind", BROKEN)
def test_score_refuses_a_run_that_holds_it(kind, good_file, pictures, tmp_path, refusal):
    run = tmp_path / "run"
    (run / "artifacts").mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump({"data": "folder", "root": str(pictures), "image_size": "32"}))
    (run / "net").mkdir()
    for name in ("card.json", "model.safetensors"):
        (run / "net" / name).write_text("{}")
    break_file(kind, good_file, run / "artifacts/net.fp32.onnx")
    assert score.main([str(run), "--threads", "1"]) == 2
    refusal()
    assert not (run / "scores.csv").exists()


@pytest.mark.parametrize("kind", ["empty", "text", "zip", "folder"])
@pytest.mark.parametrize("suffix", ["keras", "h5", "tflite", "pb"])
def test_import_refuses_it(kind, suffix, good_file, tmp_path, refusal):
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / f"stranger.{suffix}"
    break_file(kind, good_file, path)
    assert import_tf.main([str(path), "--out", str(tmp_path / "run")]) == 2
    assert f"stranger.{suffix}" in refusal()
    assert not (tmp_path / "run").exists()


def test_a_runtime_that_dies_of_a_file_is_one_message(good_file, pictures, tmp_path, monkeypatch, refusal):
    """A stub in the runtime's place kills its process as a crash in compiled code does."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake/onnxruntime.py").write_text(
        "import os, signal\n"
        "class SessionOptions: pass\n"
        "class InferenceSession:\n"
        "    def __init__(self, *path, **options): os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "fake"))
    shutil.copy(good_file, tmp_path / "stranger.onnx")
    assert predict.main([str(tmp_path / "stranger.onnx"), str(pictures / "images"), "--threads", "1"]) == 2
    assert "died with SIGSEGV" in refusal()


def test_two_commands_that_write_scores_to_one_folder_do_not_mix_them(tmp_path, good_file, pictures, refusal):
    flags = ["--data", "folder", "--root", str(pictures), "--image_size", "32", "--threads", "1"]
    with locked(tmp_path / "out"):
        assert score.main([str(good_file), *flags, "--out", str(tmp_path / "out")]) == 2
        assert "another command is running in" in refusal()
