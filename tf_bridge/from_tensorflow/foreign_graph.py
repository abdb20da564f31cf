"""Gives an ONNX graph that tf2onnx made the inputs, outputs and metadata that the project's own files have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_bridge.from_tensorflow.class_scores import LOGITS, SIGMOID, SOFTMAX, ClassScores
from tf_bridge.lowering.lower import UnsupportedOperatorError
from torchseg.modelfile.metadata import METADATA_PREFIX, metadata
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_ACTIVATIONS = {"Softmax": SOFTMAX, "Sigmoid": SIGMOID}
_KEEPS_MEANING = {
    "Transpose", "Identity", "Cast", "Reshape", "QuantizeLinear", "DequantizeLinear", "Squeeze", "Unsqueeze", "Resize",
}  # fmt: skip
_PREFIX = "network/"
_Quantized = Mapping[
    str, Mapping[str, Any]
]  # `image`, `answer` or both -> an integer tensor as `describe_file` describes it


def check_operators(model: ModelProto) -> None:
    """Raises UnsupportedOperatorError for operators that tf2onnx could not translate and passed on as they were."""
    import onnx

    unknown = sorted({node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)})
    if unknown:
        raise UnsupportedOperatorError(
            f"tf2onnx has no ONNX counterpart for {', '.join(unknown)}; replace the layers that use them"
        )


def final_activation(graph: GraphProto) -> str:
    """`softmax`, `sigmoid` or `logits`: what the graph's first output went through last."""
    makers = {name: node for node in graph.node for name in node.output}
    name = graph.output[0].name
    while name in makers and makers[name].op_type in _KEEPS_MEANING:
        name = makers[name].input[0]
    return _ACTIVATIONS.get(makers[name].op_type, LOGITS) if name in makers else LOGITS


def precision_of(graph: GraphProto) -> Precision:
    """int8 if activations are quantized, dynamic if weights alone are."""
    kinds = {node.op_type for node in graph.node}
    if "QuantizeLinear" in kinds:
        return Precision.INT8
    return Precision.DYNAMIC if "DequantizeLinear" in kinds else Precision.FP32


def wrap_graph(
    model: ModelProto,
    spec: ImageSpec,
    scores: ClassScores,
    *,
    quantized: _Quantized,
    notes: Mapping[str, str],
) -> ModelProto:
    """The same network from `image` float32 `(1, C, H, W)` to one value per class, `(1, K, H, W)`.

    Args:
        model: one input and a first output, both NCHW.
        spec: pictures of the network.
        scores: what it puts out.
        quantized: its input (`image`) and output (`answer`) where they are integers; without scale they count in ones.
        notes: further metadata.

    Raises:
        UnsupportedOperatorError: if an operator has no ONNX counterpart.
    """
    import onnx
    from onnx import TensorProto, helper

    check_operators(model)
    wrapped = onnx.compose.add_prefix(model, _PREFIX)  # no inner name can meet the new ones
    graph = wrapped.graph
    source, target = graph.input[0].name, graph.output[0].name
    before, after = _edges(source, target, scores, quantized)
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(_constants(scores, quantized))
    if not before:
        _rename(graph, source, "image")
    if not after:
        _rename(graph, target, scores.output_name)
    image = (1, spec.channels, spec.height, spec.width)
    answer = (1, scores.num_classes, spec.height, spec.width)
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, image))
    graph.output.append(helper.make_tensor_value_info(scores.output_name, TensorProto.FLOAT, answer))
    entries = metadata(spec, layout="NCHW", precision=precision_of(graph))
    entries |= {f"{METADATA_PREFIX}output": scores.meaning}
    entries |= {f"{METADATA_PREFIX}{name}": text for name, text in notes.items()}
    helper.set_model_props(wrapped, entries)
    onnx.checker.check_model(wrapped)
    return wrapped


def _edges(
    source: str, target: str, scores: ClassScores, quantized: _Quantized
) -> tuple[list[NodeProto], list[NodeProto]]:
    """Operators in front of and behind the network; the last one writes the output's name."""
    from onnx import helper

    before, after = [], []
    if "image" in quantized:
        before.append(helper.make_node("QuantizeLinear", ["image", "image_scale", "image_zero"], [source]))
    if "answer" in quantized:
        after.append(("DequantizeLinear", ["answer_scale", "answer_zero"]))
    if scores.spread is not None:
        after += [("Mul", ["class_factor"]), ("Add", ["class_summand"])]
    names = [target, *(f"answer_{number}" for number in range(1, len(after))), scores.output_name]
    behind = [
        helper.make_node(kind, [names[at], *constants], [names[at + 1]]) for at, (kind, constants) in enumerate(after)
    ]
    return before, behind


def _constants(scores: ClassScores, quantized: _Quantized) -> list[Any]:
    from onnx import numpy_helper

    values: dict[str, Any] = {}
    for name, tensor in quantized.items():
        values[f"{name}_scale"] = np.float32(tensor.get("scale", 1.0))
        values[f"{name}_zero"] = np.dtype(tensor["type"]).type(tensor.get("zero_point", 0))
    if scores.spread is not None:
        values["class_factor"], values["class_summand"] = scores.spread
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]


def _rename(graph: GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for at, name in enumerate(names):
                if name == old:
                    names[at] = new
