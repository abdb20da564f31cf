import copy

import numpy as np
import onnx
import onnx.parser
import onnxruntime

from tf_bridge.packing.slim import slim_graph


def model_from(text: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}')
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


TWICE = """net (float[2] image) => (float[2] logits)
<float[2] first_constant_with_a_long_name = {-3, 2}, float[2] second_constant_with_a_long_name = {-3, 2},
 float[2] a = {5, 7}, int32[1] number = {-1}> {
    sum_with_a_long_name = Add(image, first_constant_with_a_long_name)
    product = Mul(sum_with_a_long_name, second_constant_with_a_long_name)
    clipped = Clip(product, , )
    index = Cast<to = 1>(number)
    shifted = Add(clipped, index)
    logits = Add(shifted, a)
}"""


def test_a_slim_graph_computes_the_same_in_fewer_bytes() -> None:
    model, image = model_from(TWICE), np.array([1.5, -2], np.float32)
    slim = copy.deepcopy(model)
    slim_graph(slim.graph, keep=())
    onnx.checker.check_model(slim, full_check=True)
    np.testing.assert_array_equal(run(slim, image), run(model, image))
    assert slim.ByteSize() < 0.75 * model.ByteSize()


def test_equal_constants_are_stored_once() -> None:
    model = model_from(TWICE)
    slim_graph(model.graph, keep=())
    assert len(model.graph.initializer) == 3
    assert model.graph.node[0].input[1] == model.graph.node[1].input[1]


def test_names_of_inputs_outputs_and_kept_values_stay() -> None:
    model = model_from(TWICE)
    slim_graph(model.graph, keep=["a", "first_constant_with_a_long_name", "second_constant_with_a_long_name"])
    assert model.graph.input[0].name == "image"
    assert model.graph.node[-1].output[0] == "logits"
    names = {tensor.name for tensor in model.graph.initializer}
    assert {"a", "first_constant_with_a_long_name", "second_constant_with_a_long_name"} < names
    assert len(names) == 4, "a short name repeats a kept one, or a kept value was merged away"


def test_the_body_of_a_branch_still_finds_outer_values_by_name() -> None:
    model = model_from(
        """net (float[2] image) => (float[2] logits) <float[2] weight = {1, 2}> {
            sum = ReduceSum<keepdims = 0>(image)
            positive = Cast<to = 9>(sum)
            logits = If(positive) <
                then_branch = yes () => (float[2] y) { y = Add(image, weight) },
                else_branch = no () => (float[2] n) { n = Mul(image, weight) }
            >
        }"""
    )
    slim = copy.deepcopy(model)
    slim_graph(slim.graph, keep=())
    for image in (np.array([1, 2], np.float32), np.array([-1, 1], np.float32)):
        np.testing.assert_array_equal(run(slim, image), run(model, image))
