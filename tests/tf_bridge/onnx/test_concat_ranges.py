"""Ranges of a concatenation's inputs, by hand on a small graph and by its effect on a file."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tf_bridge.onnx.concat_ranges import share_concat_ranges
from tf_bridge.onnx.quantize import measure_ranges, quantize_onnx


def graph(*, activation: str = "Sigmoid", skip_is_read: bool = True) -> onnx.ModelProto:
    """`joined` holds `skip`, which an activation made, and `above`, which `below` became by resizing."""
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["made"], name="made"),
        helper.make_node(activation, ["made"], ["skip"], name="skip"),
        helper.make_node("Conv", ["image", "w"], ["below"], name="below", strides=[2, 2]),
        helper.make_node("Resize", ["below", "", "factors"], ["above"], name="above", mode="linear"),
        helper.make_node("Concat", ["skip", "above"], ["joined"], name="joined", axis=1),
        helper.make_node("Conv", ["joined", "v"], ["out"], name="out"),
        helper.make_node("Mul", ["skip" if skip_is_read else "image", "half"], ["other"], name="other"),
    ]
    numbers = np.random.default_rng(0)
    weights = {
        "w": numbers.standard_normal((2, 3, 1, 1)).astype(np.float32),
        "v": numbers.standard_normal((2, 4, 1, 1)).astype(np.float32),
        "factors": np.array([1, 1, 2, 2], np.float32),
        "half": np.array(0.5, np.float32),
    }
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("out", "other")]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
            ends,
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def ranges(**ends: tuple[float, float]) -> bytes:
    sides = ("lowest", "highest")
    known = {
        name: {side: {"data": [value]} for side, value in zip(sides, pair, strict=True)} for name, pair in ends.items()
    }
    return json.dumps({"data": known}).encode()


def shared(model: onnx.ModelProto, **ends: tuple[float, float]) -> dict[str, tuple[float, float]]:
    known = json.loads(share_concat_ranges(model, ranges(**ends)))["data"]
    return {name: (each["lowest"]["data"][0], each["highest"]["data"][0]) for name, each in known.items()}


def test_what_a_concatenation_alone_reads_gets_its_range_through_the_resize() -> None:
    found = shared(graph(), skip=(0, 1), below=(-0.1, 0.1), above=(-0.1, 0.1), joined=(-0.1, 1))
    assert found["below"] == found["above"] == found["joined"] == (-0.1, 1)


def test_a_shared_range_cuts_off_no_value_that_a_resize_averages_away() -> None:
    found = shared(graph(), skip=(0, 1), below=(-0.5, 0.1), above=(-0.1, 0.1), joined=(-0.1, 1))
    assert found["below"] == found["above"] == found["joined"] == (-0.5, 1)
    assert found["skip"] == (-0.5, 1)
    cut = shared(graph(activation="Relu"), skip=(0, 1), below=(-0.5, 0.9), above=(0, 0.9), joined=(0, 1))
    assert cut["below"] == cut["joined"] == (-0.5, 1)
    assert cut["skip"] == (0, 1)  # the range stands for the activation


def test_a_range_widened_by_one_concatenation_reaches_the_one_after_it() -> None:
    model = graph(skip_is_read=False)
    model.graph.node.append(helper.make_node("Concat", ["joined", "image"], ["whole"], name="whole", axis=1))
    found = shared(model, skip=(0, 1), below=(-9, 1), above=(-1, 1), joined=(-1, 1), whole=(-1, 2), image=(-1, 2))
    assert found["below"] == found["joined"] == found["whole"] == (-9, 2)


@pytest.mark.parametrize(("lowest", "expected"), [(-0.9, (-0.9, 1)), (-1.1, (0, 1))])
def test_what_others_read_is_widened_twofold_at_most(lowest: float, expected: tuple[float, float]) -> None:
    found = shared(graph(), skip=(0, 1), below=(lowest, 0), above=(lowest, 0), joined=(lowest, 1))
    assert found["skip"] == expected
    alone = shared(graph(skip_is_read=False), skip=(0, 1), below=(-9, 0), above=(-9, 0), joined=(-9, 1))
    assert alone["skip"] == (-9, 1)


@pytest.mark.parametrize(("activation", "lowest", "widened"), [("Relu", -0.1, 1), ("Relu", 0, 1.9), ("Clip", 0, 1)])
def test_a_range_that_stands_for_an_activation_keeps_its_end(activation: str, lowest: float, widened: float) -> None:
    ends = {"skip": (0, 1), "below": (lowest, 1.9), "above": (lowest, 1.9), "joined": (lowest, 1.9)}
    assert shared(graph(activation=activation), **ends)["skip"] == (0, widened)


def test_tensors_without_a_range_are_left_alone() -> None:
    model = graph()
    assert json.loads(share_concat_ranges(model, ranges(skip=(0, 1)))) == json.loads(ranges(skip=(0, 1)))
    assert shared(model, skip=(0, 1), above=(-1, 0), joined=(-1, 1))["above"] == (-1, 0)  # `below` has none


@pytest.mark.parametrize("activation", ["Relu", "Sigmoid"])
def test_the_int8_file_computes_what_the_network_computes(activation: str) -> None:
    ort = pytest.importorskip("onnxruntime")
    model = graph(activation=activation, skip_is_read=False)
    images = np.random.default_rng(1).standard_normal((8, 3, 8, 8)).astype(np.float32)
    rounded = quantize_onnx(model, measure_ranges(model, images), {}, float_nodes=())
    (expected, _), (found, _) = (
        ort.InferenceSession(each.SerializeToString()).run(None, {"image": images[:1]}) for each in (model, rounded)
    )
    assert np.abs(found - expected).max() <= 0.03 * np.ptp(expected)
    constants = {each.name: numpy_helper.to_array(each) for each in rounded.graph.initializer}
    steps = {node.name: constants[node.input[1]] for node in rounded.graph.node if node.op_type == "QuantizeLinear"}
    assert steps["above_QuantizeLinear"] == steps["joined_QuantizeLinear"]
