import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tf_bridge.from_tensorflow.class_scores import LOGITS, SIGMOID, SOFTMAX, ClassScores
from tf_bridge.from_tensorflow.convert import final_activation, precision_of, wrap_graph
from tf_bridge.lowering.lower import UnsupportedOperatorError
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=4, width=6, classes=("a", "b"), channels=3)


def graph_of(*kinds, channels=3, number=TensorProto.FLOAT):
    """A chain of operators with one input each, between tensors that have the names of the wrapped file."""
    names = ["logits", *(f"t{at}" for at in range(len(kinds) - 1)), "image"]
    nodes = [helper.make_node(kind, [names[at]], [names[at + 1]]) for at, kind in enumerate(kinds)]
    ends = [helper.make_tensor_value_info(name, number, ["batch", channels, 4, 6]) for name in (names[0], names[-1])]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model, image):
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": image})[0]


@pytest.mark.parametrize(
    ("kinds", "activation"),
    [
        (("Relu", "Softmax"), SOFTMAX),
        (("Sigmoid", "Identity"), SIGMOID),
        (("Softmax", "Identity", "Identity"), SOFTMAX),
        (("Softmax", "Relu"), LOGITS),
        (("Identity",), LOGITS),
    ],
)
def test_the_last_layer_with_a_meaning_counts(kinds, activation):
    assert final_activation(graph_of(*kinds).graph) == activation


def test_inner_names_may_be_those_of_the_ends():
    image = np.random.default_rng(0).standard_normal((1, 2, 4, 6)).astype(np.float32)
    spec = ImageSpec(height=4, width=6, classes=("a", "b"), channels=2, mean=(0, 0), std=(1, 1))
    model = graph_of("Relu", "Neg", channels=2)
    wrapped = wrap_graph(model, spec, ClassScores(activation=LOGITS, channels=2), quantized={}, notes={"k": "v"})
    np.testing.assert_array_equal(run(wrapped, image), -np.maximum(image, 0))
    assert [each.name for each in (*wrapped.graph.input, *wrapped.graph.output)] == ["image", "logits"]
    assert {each.key: each.value for each in wrapped.metadata_props}["torchseg.k"] == "v"


def test_integer_ends_become_float():
    spec = ImageSpec(height=4, width=6, classes=("a", "b"), channels=2, mean=(0, 0), std=(1, 1))
    quantized = {
        "image": {"type": "int8", "scale": 0.5, "zero_point": 3},
        "answer": {"type": "int8", "scale": 0.25, "zero_point": -1},
    }
    model = graph_of("Identity", channels=2, number=TensorProto.INT8)
    wrapped = wrap_graph(model, spec, ClassScores(activation=LOGITS, channels=2), quantized=quantized, notes={})
    image = np.full((1, 2, 4, 6), 1.5, np.float32)  # 1.5 / 0.5 + 3 = 6, and (6 + 1) * 0.25 = 1.75
    np.testing.assert_array_equal(run(wrapped, image), np.full((1, 2, 4, 6), 1.75, np.float32))
    assert precision_of(wrapped.graph) is Precision.INT8


def test_one_channel_is_spread_to_two():
    spec = ImageSpec(height=4, width=6, classes=("a", "b"), channels=1, mean=(0,), std=(1,))
    model = graph_of("Sigmoid", channels=1)
    wrapped = wrap_graph(model, spec, ClassScores(activation=SIGMOID, channels=1), quantized={}, notes={})
    image = np.linspace(-2, 2, 24, dtype=np.float32).reshape(1, 1, 4, 6)
    share = 1 / (1 + np.exp(-image))
    np.testing.assert_allclose(run(wrapped, image), np.concatenate([1 - share, share], axis=1), atol=1e-6)


def test_an_operator_that_was_passed_on_untranslated_is_named():
    model = graph_of("Relu")
    model.graph.node.append(onnx.NodeProto(op_type="Bincount", input=["image"], output=["x"]))
    with pytest.raises(UnsupportedOperatorError, match="no ONNX counterpart for Bincount"):
        wrap_graph(model, SPEC, ClassScores(activation=LOGITS, channels=2), quantized={}, notes={})
