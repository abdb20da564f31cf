"""What is neither a run nor a model file is refused with what it is and what to give."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from scripts import verify
from torchseg.pipeline.run.lock import locked


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gone/here", "there is no file gone/here; check the path"),
        ("note.txt/x", "there is no file note.txt/x; check the path"),
        (
            "note.txt",
            "note.txt is not a model file; give one that ends in .onnx, .tflite, .keras, or the folder of a run",
        ),
        ("empty", "empty is not a run: it has no config.yaml; give the folder of a run, or model files in it"),
        (".", ". is not a run: it has no config.yaml; give the folder of a run, or model files in it"),
        ("student", "student is a checkpoint, which has no certificate; give its run, or the files made from it"),
        (
            "student/model.safetensors",
            "student/model.safetensors is a checkpoint, which has no certificate; give its run, or the files",
        ),
        ("net.onnx", "net.onnx has no certificate (net.onnx.json); export net.onnx again, or, if another tool made it"),
    ],
)
def test_a_wrong_argument_is_one_message(given, said, tmp_path, refusal):
    (tmp_path / "empty").mkdir()
    (tmp_path / "student").mkdir()
    for name in ("note.txt", "net.onnx", "student/card.json", "student/model.safetensors"):
        (tmp_path / name).write_text("{}")
    assert verify.main([given]) == 2
    assert refusal().startswith(f"error: {said}")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no locks for readers")
@pytest.mark.parametrize("given", ["run", "run/artifacts/net.onnx"])
def test_a_run_that_another_command_is_writing_is_not_judged(given, tmp_path, refusal):
    (tmp_path / "run/artifacts").mkdir(parents=True)
    for name in ("config.yaml", "manifest.json", "artifacts/net.onnx"):
        (tmp_path / "run" / name).write_text("{}")
    with locked(tmp_path / "run"):
        assert verify.main([given]) == 2
    assert re.fullmatch(
        r"error: another command is running in .*run \(process .*\); wait until it has ended", refusal()
    )


def test_a_file_that_was_never_finished_is_not_one_of_the_run(tmp_path, refusal):
    (tmp_path / "run/artifacts").mkdir(parents=True)
    for name in ("config.yaml", "artifacts/.net.fp32.partial.onnx"):
        (tmp_path / "run" / name).write_text("{}")
    assert verify.main(["run"]) == 2
    assert refusal().startswith("error: run has no model files in artifacts; export a network first")


@pytest.mark.slow
@pytest.mark.tflite
def test_images_that_cannot_be_read_are_told_once_for_all_files(honest, tmp_path, capsys):
    run = Path(shutil.copytree(honest, tmp_path / "run"))
    config = (run / "config.yaml").read_text(encoding="utf-8")
    config = config.replace("data: scenes", "data: folder").replace("root: null", "root: gone")
    (run / "config.yaml").write_text(config, encoding="utf-8")
    files = [str(run / f"artifacts/clustered.{name}.onnx") for name in ("fp32", "int8", "fp16")]
    assert verify.main(files) == 1
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{files[0]}: there is no folder {tmp_path / 'gone'}; give the folder of data set 'folder'")
    assert others == [
        f"{file}: not verified, because the images of {run} cannot be read, as said above" for file in files[1:]
    ]
