"""Gates, concatenations and logits of int8 files are computed in integers, not around them."""

from __future__ import annotations

from collections import Counter

import onnx
import pytest

from torchseg.modelfile.precision import Precision

pytestmark = [pytest.mark.tflite, pytest.mark.slow]


@pytest.fixture(scope="module")
def tflite_types(learnt_files) -> dict[str, str]:
    """What each operation of the int8 file computes, by name of its result."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(learnt_files["tflite", Precision.INT8]), num_threads=1)
    tensors = {each["index"]: each for each in interpreter.get_tensor_details()}
    results = [tensors[index] for each in interpreter._get_ops_details() for index in each["outputs"]]
    return {each["name"]: each["dtype"].__name__ for each in results}


@pytest.fixture(scope="module")
def onnx_kinds(learnt_files, tmp_path_factory) -> tuple[onnx.ModelProto, Counter[str]]:
    """The int8 file as ONNX Runtime runs it, after its fusions, and how often each kind of operation is in it."""
    import onnxruntime

    path = tmp_path_factory.mktemp("fused") / "fused.onnx"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(learnt_files["onnx", Precision.INT8], options)
    model = onnx.load(path)
    return model, Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("name", ["gate.0/sigmoid", "gate.0/mul", "gate.0/relu", "join/cat", "logits"])
def test_tflite_computes_it_in_int8(name: str, tflite_types: dict[str, str]) -> None:
    assert tflite_types[name] == "int8"


def test_nothing_in_the_tflite_file_is_float(tflite_types: dict[str, str]) -> None:
    assert set(tflite_types.values()) == {"int8"}


@pytest.mark.parametrize("kind", ["Sigmoid", "Mul", "Add", "Concat", "Conv"])
def test_onnx_runtime_computes_it_in_integers(kind: str, onnx_kinds) -> None:
    _, kinds = onnx_kinds
    assert kinds[kind] == kinds[f"Fused{kind}"] == 0
    assert kinds[f"QLinear{kind}"] > 0


def test_what_onnx_runtime_leaves_in_float_is_known(onnx_kinds) -> None:
    """It has no integer kernel for bilinear resizing: the codes are expanded in front of it and rounded behind it."""
    model, kinds = onnx_kinds
    integers = {"QLinearConv", "QLinearSigmoid", "QLinearMul", "QLinearAdd", "QLinearConcat"}
    codes_move = {"MaxPool", "NhwcMaxPool", "Transpose"}
    assert set(kinds) - integers - codes_move == {"QuantizeLinear", "DequantizeLinear", "Resize"}
    # Beside the resize, the picture is rounded at the front and the logits are expanded at the back.
    assert kinds["QuantizeLinear"] == kinds["DequantizeLinear"] == kinds["Resize"] + 1
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    floats = [makers.get(node.input[0]) for node in model.graph.node if node.op_type == "Resize"]
    assert floats == ["DequantizeLinear"]
