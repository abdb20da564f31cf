from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from torchseg.checkpoint import CARD
from torchseg.harness.measure.multiply_adds import multiply_adds_in

SHAPE = (1, 3, 16, 24)


def test_a_checkpoint_and_its_export_have_the_same_work(checkpoint, onnx_file):
    work = multiply_adds_in(checkpoint, SHAPE)
    assert work is not None
    assert work > 0
    assert multiply_adds_in(onnx_file, SHAPE) == work


def test_a_count_that_the_card_holds_is_counted_again_for_another_size(checkpoint, tmp_path):
    checkpoint = shutil.copytree(checkpoint, tmp_path / "student")
    card = {name: each for name, each in json.loads((checkpoint / CARD).read_text()).items() if name != "checksum"}
    spec = (1, 3, card["spec"]["height"], card["spec"]["width"])
    counted = multiply_adds_in(checkpoint, spec)
    (checkpoint / CARD).write_text(json.dumps(card | {"metrics": {"multiply_adds": 7}}))
    assert multiply_adds_in(checkpoint, spec) == 7
    assert multiply_adds_in(checkpoint, (*spec[:2], 2 * spec[2], spec[3])) == 2 * counted


def test_every_precision_of_a_tflite_file_has_the_same_work(tflite_files):
    expected = 16 * 24 * 3 * 3 * 3 * 3
    assert {multiply_adds_in(path, SHAPE) for path in tflite_files.values()} == {expected}


@pytest.fixture
def one_operator(tmp_path):
    """An ONNX file of one operator with a kernel of this shape, its picture's sides left open."""

    def make(kind: str, kernel: tuple[int, ...], **attributes: object) -> str:
        node = helper.make_node(kind, ["x", "w"], ["y"], **attributes)
        sides = ["n", *([3, "h", "w"] if len(kernel) == 4 else [24])]
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, s) for name, s in (("x", sides), ("y", None))]
        stored = numpy_helper.from_array(np.zeros(kernel, np.float32), "w")
        graph = helper.make_graph([node], "g", values[:1], values[1:], [stored])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "one.onnx")
        return str(tmp_path / "one.onnx")

    return make


@pytest.mark.parametrize(
    ("kind", "kernel", "attributes", "expected"),
    [
        ("Conv", (8, 3, 3, 3), {"pads": [1] * 4}, 8 * 16 * 24 * 27),
        ("Conv", (3, 1, 5, 5), {"group": 3, "pads": [2] * 4, "strides": [2, 2]}, 3 * 8 * 12 * 25),
        ("ConvTranspose", (3, 5, 2, 2), {"strides": [2, 2]}, 3 * 16 * 24 * 5 * 4),
    ],
)
def test_convolutions_are_counted_by_hand(one_operator, kind, kernel, attributes, expected, tmp_path):
    one_operator(kind, kernel, **attributes)
    assert multiply_adds_in(tmp_path / "one.onnx", SHAPE) == expected


def test_a_file_that_leaves_the_size_of_its_tensors_open_has_no_count(one_operator, tmp_path):
    one_operator("Gemm", (24, 7))
    assert multiply_adds_in(tmp_path / "one.onnx", SHAPE) is None
