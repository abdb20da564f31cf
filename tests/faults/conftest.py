from __future__ import annotations

import time

import pytest

from scripts import export, train
from tests.faults.commands import RECIPE, Running, results
from torchseg.data import DataSet, write_folder
from torchseg.data.datasets.scenes import CLASSES, Scenes


@pytest.fixture(scope="session")
def few_images(tmp_path_factory):
    """A folder of data with eight images per split."""
    parts = ("train", "validation", "test", "transfer")
    data = DataSet(classes=CLASSES, **{part: Scenes(part, height=32, width=32, length=8) for part in parts})
    folder = tmp_path_factory.mktemp("few") / "images"
    write_folder(data, folder, size=(32, 32))
    return folder


@pytest.fixture(scope="session")
def small_run(tmp_path_factory, few_images):
    """The run of a small network with a file per format, not to be changed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    data = ["--data", "folder", "--root", str(few_images), "--image_size", "32", "--workers", "0"]
    network = ["--model_arguments", "base_width=4,depth=1", "--epochs", "1"]
    assert train.main([*data, *network, "--threads", "1", "--out", str(out)]) == 0
    files = ["--formats", "onnx,tflite", "--precisions", "fp32", "--threads", "1"]
    assert export.main([str(out / "trained"), *files]) == 0
    return out


@pytest.fixture(scope="session")
def given(tmp_path_factory):
    """A folder with a recipe; a command that was not killed leaves its results there once another test needs them."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="session")
def whole(given):
    """What a command leaves that nobody kills, and the seconds that it takes."""
    known = {}

    def run(command):
        needed = {"compress": ["train"], "export": ["train"], "score": ["train", "export"]}
        for each in [*needed.get(command, []), command]:
            if each not in known:
                started = time.monotonic()
                Running(each, given, given / each).finish()
                known[each] = results(given / each), time.monotonic() - started
        return known[command]

    return run
