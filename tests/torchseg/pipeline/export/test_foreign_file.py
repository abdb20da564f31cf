"""A file of unknown origin shows in its own process what it would show in this one."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tf_bridge.certify.file_reader import LocalFile
from tf_bridge.onnx.export import export_onnx
from torchseg.harness.measure.weights import count_weights
from torchseg.harness.runtimes.process import RuntimeProcessError
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model
from torchseg.pipeline.export.foreign_file import ForeignFile
from torchseg.processes.child_limits import child_limits
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=24, classes=("sky", "road", "car"))
IMAGES = np.random.default_rng(0).standard_normal((4, 3, 16, 24)).astype(np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """An int8 ONNX file of a small network."""
    target = tmp_path_factory.mktemp("foreign") / "net.onnx"
    network = build_model("small_unet", {"base_width": 2, "depth": 1}, SPEC).eval()
    export_onnx(network, SPEC, target, precision=Precision.INT8, calibration=IMAGES)
    return target


@pytest.mark.slow
def test_its_weights_and_layers_are_those_of_the_file(path):
    local = LocalFile(path)
    with ForeignFile(path) as file:
        file.load()
        reader = file.reader(path)
        for found, expected in zip(reader.weights(), local.weights(), strict=True):
            np.testing.assert_array_equal(found.values, expected.values)
            assert (found.name, found.dtype, found.sides) == (expected.name, expected.dtype, expected.sides)
        assert count_weights(each.rows for each in file.stored) == file.count_weights()
        found, expected = reader.layers(), local.layers()
        assert found.grids == expected.grids != {}
        ours, theirs = found.run(IMAGES[:1]), expected.run(IMAGES[:1])
        assert ours.keys() == theirs.keys() != set()
        for name, value in theirs.items():
            np.testing.assert_array_equal(ours[name], value)


def loop_without_end(path):
    """Writes a file that opens at once and whose kernel takes forever to compute."""
    value = onnx.helper.make_tensor_value_info
    body = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Identity", ["go"], ["on"]),
            onnx.helper.make_node("Add", ["state", "state"], ["next"]),
        ],
        "body",
        [
            value("count", onnx.TensorProto.INT64, []),
            value("go", onnx.TensorProto.BOOL, []),
            value("state", onnx.TensorProto.FLOAT, [3, 3, 1, 1]),
        ],
        [value("on", onnx.TensorProto.BOOL, []), value("next", onnx.TensorProto.FLOAT, [3, 3, 1, 1])],
    )
    constants = {
        "most": np.array(2**62),
        "true": np.array([True]).reshape(()),
        "start": np.zeros((3, 3, 1, 1), np.float32),
    }
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Loop", ["most", "true", "start"], ["kernel"], body=body),
            onnx.helper.make_node("Conv", ["image", "kernel"], ["logits"]),
        ],
        "net",
        [value("image", onnx.TensorProto.FLOAT, [1, 3, 16, 24])],
        [value("logits", onnx.TensorProto.FLOAT, [1, 3, 16, 24])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)


def test_weights_that_never_stop_being_computed_are_one_message(tmp_path):
    path = tmp_path / "net.onnx"
    loop_without_end(path)
    with ForeignFile(path) as file:
        file.load()
        with (
            child_limits(memory_gb=None, minutes=0.01),
            pytest.raises(RuntimeProcessError, match=r"has not ended 'stored_weights' of .*net\.onnx within 0\.6 s"),
        ):
            file.stored_weights()
