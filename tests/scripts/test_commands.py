"""The commands beside the main job, in miniature and in a row, as a user would run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts import distill, export, predict, report, score, train, verify
from torchseg.__main__ import COMMANDS, main

_SCRIPTS = Path(__file__).parents[2] / "scripts"
RUN = Path("runs/folder")
ONNX = RUN / "artifacts/student.fp32.onnx"


@pytest.mark.slow
def test_the_commands_work_on_what_the_main_job_left(flags, pictures, capsys):
    assert distill.main(flags) == 0
    assert verify.main([str(ONNX)]) == 0
    assert "its certificate holds" in capsys.readouterr().out

    assert predict.main([str(ONNX), str(pictures / "images"), "--out", "painted"]) == 0
    mask = np.asarray(Image.open("painted/p0.png"))
    assert mask.shape == (32, 32)
    assert mask.max() < 5

    (RUN / "report.html").unlink()
    assert report.main([str(RUN)]) == 0
    assert (RUN / "report.html").is_file()

    (RUN / "scores.csv").unlink()
    assert score.main([str(RUN)]) == 0
    assert (RUN / "scores.csv").is_file()

    assert score.main([str(ONNX), "--against", str(RUN / "student"), "--threads", "1", "--out", "compared"]) == 0
    assert "student.fp32.onnx (onnxruntime, 1 thread) against student" in capsys.readouterr().out
    assert Path("compared/report.html").is_file()

    assert score.main(["--explain", str(ONNX), "--threads", "1"]) == 0
    assert "costliest of" in capsys.readouterr().out

    assert export.main([str(RUN / "student"), "--formats", "onnx", "--precisions", "fp32", "--out", "exported"]) == 0
    assert Path("exported/student.fp32.onnx").is_file()

    ONNX.write_bytes(ONNX.read_bytes()[:-1] + b"x")
    assert verify.main([str(ONNX)]) == 1
    assert "has changed since it was certified" in capsys.readouterr().out


@pytest.mark.slow
def test_one_network_trains_with_labels(pictures, capsys):
    flags = ["--data", "folder", "--root", str(pictures), "--image_size", "32", "--epochs", "1", "--workers", "0"]
    assert train.main(flags) == 0
    assert (RUN / "trained/model.safetensors").is_file()
    assert train.main(flags) == 0
    assert "Nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_script_helps_without_importing_torch(name):
    script = str(_SCRIPTS / f"{name}.py")
    code = f"""
import runpy, sys
sys.argv = ["{name}", "--help"]
try:
    runpy.run_path({script!r}, run_name="__main__")
except SystemExit:
    print("torch" in sys.modules)
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "--print_config" in output
    assert output.splitlines()[-1] == "False"


def test_the_table_of_commands_is_the_folder_of_scripts():
    assert set(COMMANDS) == {path.stem for path in _SCRIPTS.glob("[!_]*.py")}


def test_an_unknown_command_brings_the_near_names(capsys):
    assert main(["distil"]) == 2
    assert "did you mean 'distill'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [verify, predict, report, score])
def test_a_missing_file_ends_in_two(command, capsys):
    assert command.main(["nowhere", *(["x.png"] if command is predict else [])]) == 2
    assert capsys.readouterr().err.startswith("error: ")
