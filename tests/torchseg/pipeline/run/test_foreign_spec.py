from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from torchseg.config import PredictConfig
from torchseg.modelfile.model_file import ModelFile
from torchseg.pipeline.run.foreign_spec import foreign_spec


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """`scores.onnx` gives scores of four classes, `any.onnx` does so at any size, `classes.onnx` gives the class."""
    folder = tmp_path_factory.mktemp("foreign")
    kernel = numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "w")
    convolution = helper.make_node("Conv", ["x", "w"], ["s"])
    best = helper.make_node("ArgMax", ["s"], ["y"], axis=1, keepdims=0)
    for name, sides in {"scores": (6, 8), "any": (None, None), "classes": (6, 8)}.items():
        nodes = [convolution, best] if name == "classes" else [convolution]
        outputs = (
            [helper.make_tensor_value_info("y", TensorProto.INT64, [1, *sides])]
            if name == "classes"
            else [helper.make_tensor_value_info("s", TensorProto.FLOAT, [1, 4, *sides])]
        )
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, *sides])
        graph = helper.make_graph(nodes, "g", [image], outputs, [kernel])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, folder / f"{name}.onnx")
    return folder


def spec(path, **flags):
    return foreign_spec(ModelFile(path), PredictConfig(model=path, images=[], threads=1, **flags))


def test_the_classes_of_a_foreign_file_are_counted(files):
    found = spec(files / "scores.onnx", scaling="0-255")
    assert (found.height, found.width, found.channels) == (6, 8, 3)
    assert found.classes == ("class_0", "class_1", "class_2", "class_3")
    np.testing.assert_allclose(found.std, [1 / 255] * 3)


def test_the_classes_of_a_foreign_file_can_be_named(files):
    assert spec(files / "classes.onnx", scaling="0-1", classes="sky, road").classes == ("sky", "road")
    assert spec(files / "classes.onnx", scaling="0-1", classes="3").num_classes == 3


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("scores", {}, r"scores\.onnx does not say how its images are scaled; say it, e\.g\. --scaling 0-1"),
        ("any", {"scaling": "0-1"}, "takes images of any size; say which to give it, e.g. --image_size 256"),
        ("classes", {"scaling": "0-1"}, "gives classes and does not say how many"),
    ],
)
def test_what_a_foreign_file_does_not_say_is_asked_for(files, name, flags, message):
    with pytest.raises(ValueError, match=message):
        spec(files / f"{name}.onnx", **flags)


def test_a_file_of_any_size_gets_the_size_of_the_flag(files):
    found = spec(files / "any.onnx", scaling="0-1", image_size="10,12", classes="4")
    assert (found.height, found.width) == (10, 12)
