"""Counts the operators of a model file that bend or choose values, and holds the counts against its network.

A path beside the network, such as one that changes the result where a pixel has a value that no photograph has, shows
on no image that a certificate is made with. It needs an operator that is not affine: an affine one acts on every image
alike, and so shows in the values of the layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_bridge.certify.network_layers import NetworkLayers
from torchseg.modelfile.keras.file import keras_layers
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.tflite import TfliteModel, open_tflite

if TYPE_CHECKING:
    from onnx import NodeProto

# Operators that are affine where they read one value of the image, or that only move values or round them, which other
# checks see.
_AFFINE = {
    "AveragePool", "BatchNormalization", "Conv", "ConvInteger", "ConvTranspose", "Div", "Expand", "Flatten", "Gather",
    "Gemm", "GlobalAveragePool", "Identity", "MatMul", "MatMulInteger", "Mul", "Neg", "Pad", "ReduceMean", "ReduceSum",
    "Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
    "AVERAGE_POOL_2D", "BATCH_MATMUL", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CONV_2D", "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE", "DIV", "EXPAND_DIMS", "FULLY_CONNECTED", "GATHER", "MEAN", "MIRROR_PAD", "MUL", "NEG", "PAD",
    "PADV2", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH",
    "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "SUM", "TILE", "TRANSPOSE", "TRANSPOSE_CONV", "UNPACK",
    "AveragePooling2D", "Conv2D", "Conv2DTranspose", "Cropping2D", "Dense", "DepthwiseConv2D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "InputLayer", "Permute", "Rescaling", "Resizing",
    "UpSampling2D", "ZeroPadding2D",
}  # fmt: skip
# Affine in all that they read.
_SUMS = {"Add", "Concat", "Concatenate", "Sub", "Subtract", "Sum", "ADD", "ADD_N", "CONCATENATION", "PACK", "SUB"}
_SIZES = ("Shape", "SHAPE")  # what they return does not depend on the pixels
_PRODUCT, _TO_INTEGERS, _MOVED = "product of two values", "conversion to integers", "Identity"
_ROUNDING = {
    Precision.INT8: {"QuantizeLinear", "DequantizeLinear", "QUANTIZE", "DEQUANTIZE"},
    Precision.DYNAMIC: {"DynamicQuantizeLinear"},
}
# Operators that exporters write for one another: a ReLU may stand for one with an upper bound, but not the reverse.
_BOUND, _UPPER = "ReLU or bound", "upper bound"
_BOUNDS = {
    **dict.fromkeys(("Relu", "RELU", "relu"), (_BOUND,)),
    **dict.fromkeys(("Clip", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "relu6"), (_BOUND, _UPPER)),
}
# Operator of PyTorch -> the operators of a file that it may be.
_COUNTED = {
    "relu": (_BOUND,),
    "hardtanh": (_BOUND, _UPPER, "Min", "Max", "MINIMUM", "MAXIMUM"),
    "leaky_relu": ("LeakyRelu", "LEAKY_RELU", "LeakyReLU"),
    "sigmoid": ("Sigmoid", "LOGISTIC", "sigmoid"),
    "max_pool2d": ("MaxPool", "MAX_POOL_2D", "MaxPooling2D"),
    "mul": (_PRODUCT,),
}
_CLASSES = ("ArgMax", "ARG_MAX")  # at the end of an end-to-end file, which turns them into bytes
_CHANCE = ("Random", "Bernoulli", "Multinomial", "RANDOM", "MULTINOMIAL")
_ONNX_FLOATS, _TFLITE_FLOATS = (1, 10), (0, 1)  # the codes of single and half precision


@dataclass(frozen=True)
class Operator:
    """One operator of a file.

    Attributes:
        kind: its type, or what it does in words.
        inputs: names or numbers of the tensors that it reads.
        outputs: likewise, those that depend on the image if an input does.
    """

    kind: str
    inputs: Sequence[Any]
    outputs: Sequence[Any]


def foreign_operators(path: Path, network: NetworkLayers, precision: Precision, *, end_to_end: bool) -> list[str]:
    """The kinds of operators of which a file has more than its network accounts for, one sentence each.

    Args:
        path: `.onnx`, packed or not, `.tflite` or `.keras`.
        network: that the file should compute, without operators that are `unproven`.
        precision: of the file.
        end_to_end: whether the file normalises the image and takes the argmax itself.
    """
    found = Counter(_KINDS[path.suffix](path))
    allowed = Counter(kind for word in network.words for kind in _COUNTED.get(word, ()))
    if end_to_end:
        allowed.update((*_CLASSES, _TO_INTEGERS))
    free = _AFFINE | _SUMS | _ROUNDING.get(precision, set())
    return [
        f"the file has {count} of the operator `{kind}`, the network {allowed[kind]}: "
        "a path beside the network may show on no image"
        for kind, count in found.items()
        if kind not in free and count > allowed[kind]
    ]


def _onnx_kinds(path: Path) -> Iterator[str]:
    import onnx

    graph = onnx.load(path).graph
    image = {each.name for each in graph.input} - {each.name for each in graph.initializer}
    return _acting(image, (_onnx_operator(node) for node in graph.node))


def _onnx_operator(node: NodeProto) -> Operator:
    kind, outputs = node.op_type, list(node.output)
    if node.domain not in ("", "ai.onnx"):
        kind = f"{node.domain}.{kind}"
    elif kind == "DynamicQuantizeLinear":
        outputs = outputs[:1]  # the others are its scale and zero point, by which the codes are multiplied again
    elif kind == "Cast":
        (target,) = (each.i for each in node.attribute if each.name == "to")
        kind = _MOVED if target in _ONNX_FLOATS else _TO_INTEGERS
    return Operator(kind, [*node.input, *_captured(node)], outputs)


def _captured(node: NodeProto) -> Iterator[str]:
    """What the branches and bodies of a control flow operator read."""
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for inner in graph.node:
                yield from (*inner.input, *_captured(inner))


def _tflite_kinds(path: Path) -> Iterator[str]:
    model = open_tflite(path)
    operators = (each for operation in model.graph.operators for each in _tflite_operators(model, operation))
    return _acting({int(each) for each in model.graph.inputs}, operators)


def _tflite_operators(model: TfliteModel, operation: Any) -> Iterator[Operator]:
    """An operation and the activation that is fused into it."""
    kind = model.kind(operation)
    inputs, outputs = ([int(each) for each in tensors] for tensors in (operation.inputs, operation.outputs))
    if kind == "CAST":
        kind = _MOVED if model.graph.tensors[outputs[0]].type in _TFLITE_FLOATS else _TO_INTEGERS
    yield Operator(kind, inputs, outputs)
    if fused := getattr(operation.builtinOptions, "fusedActivationFunction", 0):
        names = {code: name for name, code in vars(model.schema.ActivationFunctionType).items()}
        yield Operator(names.get(fused, "UNKNOWN"), outputs, outputs)


def _acting(image: set[Any], operators: Iterable[Operator]) -> Iterator[str]:
    """The kinds of the operators that depend on the image, or on chance, in the order of the file."""
    for each in operators:
        read = [name for name in each.inputs if name in image]
        if (not read and not each.kind.startswith(_CHANCE)) or each.kind in _SIZES:
            continue
        image.update(each.outputs)
        if len(read) > 1 and each.kind in _AFFINE:
            yield _PRODUCT
        else:
            yield from _BOUNDS.get(each.kind, (each.kind,))


def _keras_kinds(path: Path) -> Iterator[str]:
    """The kinds of layers and of the activations in them; every layer of a Keras file depends on the image."""
    for kind, config in keras_layers(path):
        activation = config.get("activation")
        if kind != "Activation":
            yield _PRODUCT if kind == "Multiply" else kind
        if activation not in (None, "linear"):
            name = activation if isinstance(activation, str) else str(activation.get("class_name"))
            yield from _BOUNDS.get(name, (name,))


_KINDS = {".onnx": _onnx_kinds, ".tflite": _tflite_kinds, ".keras": _keras_kinds}
