from __future__ import annotations

import contextlib
import io
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from scripts import distill
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.modelfile.metadata import metadata
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.grid import scorer
from torchseg.pipeline.grid.child import run_commands
from torchseg.pipeline.grid.jobs import Jobs, read_outcomes
from torchseg.spec import ImageSpec

COMPRESSION = [
    *("--student_arguments", "depth=4", "--sparsity", "0.6", "--clusters", "6"),
    *("--prune_epochs", "9", "--cluster_epochs", "1", "--precisions", "fp32,int8"),
]
SPEC = ImageSpec(height=32, width=32, classes=("ground", "striped", "checked", "wire", "ring"))


@pytest.fixture(autouse=True)
def quick_timing(monkeypatch, time_quickly):
    """Two turns of one prediction: how files are timed has tests of its own."""
    time_quickly(monkeypatch)


@pytest.fixture(scope="session")
def run_commands_here():
    """Runs the commands of a grid's training in the test's own process."""
    return run_here


@pytest.fixture(scope="session")
def train_here(measure_here):
    """Lets a grid train and measure in the test's own process until the patch is undone."""

    def apply(patch):
        measure_here(patch)
        patch.setattr(Jobs, "run", run_here)
        patch.setattr(scorer, "LatencyConfig", lambda **_: LatencyConfig(rounds=1, repeats=1, max_rounds=1))
        patch.setattr(scorer, "write_report", lambda run: None)  # its plots take longer than all the rest

    return apply


def run_here(self, commands, log):
    """The commands of a training in the test's own process: importing PyTorch for each would take minutes."""
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        code = run_commands(commands)
    return read_outcomes(log.read_text(), code)


@pytest.fixture
def pictures(drawn_pictures, tmp_path):
    """A user's folder of thirty small pictures with masks."""
    return shutil.copytree(drawn_pictures, tmp_path / "mine")


@pytest.fixture
def flags(pictures):
    """The smallest run there is."""
    return _smallest(pictures)


@pytest.fixture(scope="session")
def finished_run(drawn_pictures, tmp_path_factory, time_quickly):
    """The folder `runs` that the smallest run left, not to be changed."""
    home = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        time_quickly(patch)
        assert distill.main(_smallest(drawn_pictures)) == 0
    return home / "runs"


@pytest.fixture
def finished(finished_run, flags):
    """The flags of a run that is done, in `runs/folder`."""
    shutil.copytree(finished_run, "runs")
    return flags


def _smallest(pictures):
    return [
        *("--data", "folder", "--root", str(pictures), "--image_size", "32", "--batch_size", "8", "--workers", "0"),
        *(
            "--teacher",
            "small_unet",
            "--student",
            "small_unet",
            "--epochs",
            "1",
            "--teacher_epochs",
            "1",
            "--formats",
            "onnx",
        ),
        *("--precisions", "fp32", "--threads", "1", "--sparsity", "0", "--clusters", "null"),
        *("--teacher_arguments", "base_width=16,depth=1", "--student_arguments", "base_width=16,depth=1"),
    ]


@pytest.fixture
def compressing(flags):
    """The smallest run that prunes and clusters."""
    return [*flags, *COMPRESSION]


@pytest.fixture(scope="session")
def compressed_run(drawn_pictures, tmp_path_factory, time_quickly):
    """The folder `runs` that the smallest run with compression left, not to be changed, and what it printed."""
    home = tmp_path_factory.mktemp("compressed")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.chdir(home)
        time_quickly(patch)
        assert distill.main([*_smallest(drawn_pictures), *COMPRESSION]) == 0
    return home / "runs", printed.getvalue()


@pytest.fixture
def compressed(compressed_run, compressing):
    """The flags of a run with compression that is done, in `runs/folder`."""
    shutil.copytree(compressed_run[0], "runs")
    return compressing


@pytest.fixture(scope="module")
def good_file(tmp_path_factory):
    """One convolution, exported as the bridge would."""
    weight = np.random.default_rng(0).standard_normal((5, 3, 1, 1)).astype(np.float32)
    node = helper.make_node("Conv", ["image", "weight"], ["logits"])
    ends = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, k, 32, 32]) for n, k in (("image", 3), ("logits", 5))
    ]
    graph = helper.make_graph([node], "net", ends[:1], ends[1:], [numpy_helper.from_array(weight, "weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata(SPEC, layout="NCHW", precision=Precision.FP32))
    path = tmp_path_factory.mktemp("good") / "net.fp32.onnx"
    onnx.save(model, path)
    return path
