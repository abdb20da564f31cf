"""Small files that stand for gigabytes, or for work without end, are one message within the limits of a command."""

from __future__ import annotations

import sys
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tf_bridge.from_tensorflow.process import import_apart
from torchseg.checkpoint import Card, load_checkpoint, save_checkpoint
from torchseg.harness.runtimes.process import RuntimeProcess, RuntimeProcessError
from torchseg.models import build_model
from torchseg.pipeline.commands.predict import _check_size
from torchseg.processes.child_limits import child_limits
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=8, width=8, classes=("a", "b"))
IMAGE = np.zeros((1, 3, 8, 8), np.float32)
SHAPE = list(IMAGE.shape)


def _save(path, nodes, constants, shape=SHAPE):
    image, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy")
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "bomb", [image], [answer], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    assert path.stat().st_size < 500
    return path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is that of Linux")
def test_an_onnx_file_that_expands_to_gigabytes_gets_no_memory_for_them(tmp_path):
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Expand", ["mean", "size"], ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["max"], keepdims=0),
        helper.make_node("Add", ["x", "max"], ["y"]),
    ]
    path = _save(tmp_path / "expand.onnx", nodes, {"size": np.array([10**9], np.int64)})  # 4 GB
    refused = r"expand.onnx fails on .*allocate memory.*; each process may take 1.0 GB \(--max_memory\)"
    with child_limits(memory_gb=1, minutes=None), RuntimeProcess(path) as process:
        process.load()
        with pytest.raises(RuntimeProcessError, match=refused):
            process.predict(IMAGE)


@pytest.mark.slow
def test_an_onnx_loop_without_end_is_ended(tmp_path):
    carried = [helper.make_tensor_value_info("v", TensorProto.FLOAT, SHAPE)]
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["again"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            *carried,
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, SHAPE),
        ],
    )
    loop = helper.make_node("Loop", ["times", "true", "x"], ["y"], body=body)
    path = _save(tmp_path / "loop.onnx", [loop], {"times": np.array(2**62, np.int64), "true": np.array(True)})
    with RuntimeProcess(path) as process:
        process.load()
        with (
            child_limits(memory_gb=None, minutes=0.005),
            pytest.raises(RuntimeProcessError, match=r"not ended 'predict' of .*loop.onnx within 0.3 s.*--max_minutes"),
        ):
            process.predict(IMAGE)


def test_a_keras_file_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)  # TensorFlow is not reached
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(3 * 10**6))
    refused = r"bomb.keras has \d+ bytes and unpacks to 3000002; each process may take 0.0 GB \(--max_memory\)"
    with child_limits(memory_gb=0.002, minutes=None), pytest.raises(ValueError, match=refused):
        import_apart(path, SPEC, IMAGE, tmp_path, notes={})


def test_an_image_that_takes_too_much_memory_is_refused_before_it_is_decoded(tmp_path):
    with child_limits(memory_gb=4, minutes=None):
        _check_size((8000, 8000), tmp_path / "a.png", classes=0)
        with pytest.raises(ValueError, match=r"a.png has 13000x13000 pixels, which take about 5.1 GB .*4.0 GB \(--max"):
            _check_size((13_000, 13_000), tmp_path / "a.png", classes=0)
        with pytest.raises(ValueError, match=r"a.png has 8000x8000 pixels"):
            _check_size((8000, 8000), tmp_path / "a.png", classes=20)


@pytest.mark.parametrize(
    ("argument", "value", "refused"),
    [
        ("base_width", 4096, r"model.safetensors has \d+ bytes, but the network of card.json .* of weights"),
        ("depth", 2147483648, r"card.json describes a network that cannot be built: depth .* give at most 16"),
    ],
)
def test_a_card_of_a_network_that_is_far_too_large_builds_nothing(argument, value, refused, tmp_path):
    arguments = {"base_width": 2, "depth": 1}
    card = Card(builder="small_unet", arguments=arguments, spec=SPEC, stage="student")
    save_checkpoint(build_model("small_unet", arguments, SPEC), card, tmp_path)
    large = Card(builder="small_unet", arguments=arguments | {argument: value}, spec=SPEC, stage="student")
    weights = (tmp_path / "model.safetensors").read_bytes()
    save_checkpoint(build_model("small_unet", arguments, SPEC), large, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == weights
    with pytest.raises(ValueError, match=refused):
        load_checkpoint(tmp_path)
