"""A folder belongs to one command at a time, and one that was killed while it empties a folder can start again."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from scripts import import_tf, predict
from tests.faults.commands import Running
from torchseg.pipeline.run.lock import locked

SCORES = 3
FORGETS = """
import os, sys, warnings
from pathlib import Path
import torchseg.pipeline.run.folder as module
from torchseg.pipeline.run.folder import RunFolder, Stage

warnings.simplefilter("ignore")  # forks a process with threads
home, remove = Path(sys.argv[1]), module._remove

def stage():
    return Stage(name="one", inputs={}, outputs=["out.txt"], run=lambda work: (work / "out.txt").write_text("whole"))

for steps in range(20):
    folder = RunFolder(home / str(steps))
    folder.do(stage())
    for name in ("a", "b"):
        (folder.path / name).mkdir()
        (folder.path / name / "file").write_text("old")
    left = [steps]

    def dies(path):
        if left[0] == 0:
            os._exit(9)
        left[0] -= 1
        remove(path)

    child = os.fork()
    if child == 0:
        module._remove = dies
        with folder.held():
            folder.forget()
        os._exit(0)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    again = RunFolder(home / str(steps))
    with again.held():
        again.forget()
        assert again.do(stage()), "the stage seemed done"
    assert {path.name for path in again.path.iterdir()} <= {".lock", ".stages", ".work", "out.txt", "manifest.json"}
    if not killed:
        print(steps)
        break
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_folder_can_be_emptied_again_wherever_the_emptying_was_killed(tmp_path):
    done = subprocess.run([sys.executable, "-c", FORGETS, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4, "too few places to be killed at"


@pytest.mark.slow
@pytest.mark.tflite
def test_of_scores_into_one_folder_one_writes_and_the_others_name_it(small_run, tmp_path):
    given = tmp_path / "given"
    (given / "export").mkdir(parents=True)
    for precision in ("fp32", "int8"):  # the same file: names are all that matters here
        shutil.copy(small_run / "artifacts/trained.fp32.onnx", given / f"export/trained.{precision}.onnx")
    running = [Running("score", given, tmp_path / "out") for _ in range(SCORES)]
    codes = [each.process.wait() for each in running]
    assert 0 in codes
    assert set(codes) <= {0, 2}
    for code, each in zip(codes, running, strict=True):
        assert code == 0 or "another command is running in" in each.said()
    with (tmp_path / "out/scores.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2


@pytest.mark.slow
@pytest.mark.tflite
def test_nothing_is_predicted_or_imported_into_a_run_that_is_busy(small_run, few_images, tmp_path, refusal):
    pytest.importorskip("tf2onnx")
    run = shutil.copytree(small_run, tmp_path / "run")
    Image.new("RGB", (32, 32)).save("image.png")
    before = sorted(path for path in run.rglob("*") if path.is_file())
    file = str(run / "artifacts/trained.fp32.onnx")
    model = str(shutil.copy(run / "artifacts/trained.fp32.tflite", tmp_path / "other.tflite"))
    data = ["--data", "folder", "--root", str(few_images), "--image_size", "32"]
    importing = [*data, "--out", str(run), "--threads", "1"]
    for call, reason in (
        (lambda: predict.main([file, "image.png", "--out", str(run), "--threads", "1"]), "is the folder of a run"),
        (lambda: import_tf.main([model, *importing]), "another command is running in"),
    ):
        with locked(run):
            assert call() == 2
        assert reason in refusal()
        assert sorted(path for path in run.rglob("*") if path.is_file() and path.name != ".lock") == [
            path for path in before if path.name != ".lock"
        ]
