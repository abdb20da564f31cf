"""Exports a PyTorch network to a Keras file of plain layers, which any Keras 3 opens in its safe mode."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_bridge.keras.layers import LAYERS, Keras, NoLayerError, Step
from tf_bridge.lowering.lazy_tensorflow import import_tensorflow
from tf_bridge.lowering.lower import UnsupportedOperatorError
from tf_bridge.quiet import quiet
from tf_bridge.tflite.convert import TracedFunction
from tf_bridge.tflite.export import tflite_function
from tf_bridge.tracing import export_program
from torchseg.atomic_file import partial_file
from torchseg.modelfile.keras.file import METADATA_FILE
from torchseg.modelfile.metadata import metadata
from torchseg.modelfile.precision import Precision
from torchseg.record import plain_json
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from torch import nn

_DATE = (1980, 1, 1, 0, 0, 0)  # the same network gives the same bytes, so no file tells when it was made
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput")
_SUMS = ("Add", "AddV2")
_ALIASES = ("Identity", "StopGradient")


def export_keras(model: nn.Module, spec: ImageSpec, path: Path) -> None:
    """Writes a `.keras` file that maps `image` `(B, H, W, C)` to `logits` `(B, H, W, K)`, both float32, any B.

    Its layers are named after the layers of the PyTorch network, e.g. `decode.2.0.conv2d`.

    Args:
        model: maps an image `(1, C, H, W)` to logits `(1, K, H, W)`; not modified.
        spec: size, normalisation and classes of the network's images.
        path: of the file; appears only once it is complete.

    Raises:
        ImportError: if TensorFlow is not installed.
        UnsupportedOperatorError: a ValueError, if the network uses an operator for which Keras has no layer.
        ValueError: if the network does not fit the spec.
    """
    import_tensorflow()  # fails before the network is traced if TensorFlow is missing
    write_keras(keras_model(tflite_function(export_program(model, spec), spec)), spec, path)


def keras_model(traced: TracedFunction) -> Any:
    """The Keras model of a lowered network, which TFLite files are made from as well.

    Raises:
        UnsupportedOperatorError: for an operator for which Keras has no layer.
    """
    keras = _import_keras()
    with quiet():
        return _Builder(keras, traced).model()


def write_keras(model: Any, spec: ImageSpec, path: Path) -> None:
    """Writes a Keras model with the project's metadata; the file appears only once it is complete."""
    entries = metadata(spec, layout="NHWC", precision=Precision.FP32)
    with tempfile.TemporaryDirectory() as folder, quiet():
        plain = Path(folder) / "network.keras"
        model.save(plain)
        with zipfile.ZipFile(plain) as source, partial_file(path) as partial, zipfile.ZipFile(partial, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                if name.endswith(".json"):
                    own = {"date_saved": "", **entries} if name == METADATA_FILE else {}
                    content = json.dumps(_with_short_ids({**plain_json(content.decode()), **own}, {})).encode()
                target.writestr(zipfile.ZipInfo(name, _DATE), content)


def _with_short_ids(value: Any, known: dict[int, int]) -> Any:
    """Numbers the objects that several layers share from 1 on; Keras writes their addresses in memory."""
    if isinstance(value, list):
        return [_with_short_ids(each, known) for each in value]
    if not isinstance(value, dict):
        return value
    shared = value.get("shared_object_id")
    own = {} if shared is None else {"shared_object_id": known.setdefault(shared, len(known) + 1)}
    return {name: _with_short_ids(each, known) for name, each in value.items()} | own


def _import_keras() -> Keras:
    import_tensorflow()
    os.environ["KERAS_BACKEND"] = "tensorflow"  # a user's keras.json may name another
    with quiet():
        import keras
    return keras


class _Builder:
    """Builds the layers of a graph, one operator after the other."""

    def __init__(self, keras: Keras, traced: TracedFunction) -> None:
        self._keras, self._traced = keras, traced
        self._values: dict[str, Any] = {}
        self._done: set[str] = set()  # operators that the layer of an earlier one computes
        self._output = traced.function.outputs[0]
        self._ops = list(self._needed())
        self._wanted = {op.name for op in self._ops}
        self._names = _layer_names([op for op in self._ops if op.type in LAYERS])

    def model(self) -> Any:
        """The whole network."""
        (image,) = self._traced.function.inputs
        picture = self._keras.Input(tuple(image.shape[1:]), name="image", dtype="float32")
        self._values[image.name] = picture
        for op in self._ops:
            if op.name not in self._done:
                self._add(op)
        logits = self._keras.layers.Activation("linear", name="logits")(self._values[self._output.name])
        return self._keras.Model(picture, logits, name="network")

    def _needed(self) -> Iterator[Any]:
        """The operators that the logits are computed from, in the order of computation."""
        waiting, wanted = [self._output.op], set()
        while waiting:
            op = waiting.pop()
            if op.name not in wanted:
                wanted.add(op.name)
                waiting += [each.op for each in op.inputs]
        return (op for op in self._traced.function.graph.get_operations() if op.name in wanted)

    def _add(self, op: Any) -> None:
        if op.type == "Placeholder":
            return
        if op.type == "Const":
            self._values[op.outputs[0].name] = self._traced.tf.make_ndarray(op.get_attr("value"))
            return
        inputs = [self._values[each.name] for each in op.inputs]
        if op.type in _ALIASES or op.name in self._done:
            self._values[op.outputs[0].name] = inputs[0]
            return
        result, last = self._layer(op, inputs)
        expected = [int(side) for side in last.outputs[0].shape[1:]]
        if list(result.shape[1:]) != expected:
            raise _refusal(op, f"gives {list(result.shape[1:])} there; expected {expected}")
        self._values[last.outputs[0].name] = result

    def _layer(self, op: Any, inputs: Sequence[Any]) -> tuple[Any, Any]:
        """The result of the layer for an operator, and the last operator that the layer computes."""
        if op.type not in LAYERS:
            raise _refusal(op, "has no layer")
        bias, summand, last = None, None, op
        following = self._sum_after(op)
        if following is not None and op.type in _CONVOLUTIONS and following[0].type == "BiasAdd":
            last, bias = following
        elif following is not None and op.type == "Mul" and following[0].type in _SUMS and _is_factor(inputs):
            last, summand = following
        self._done.add(last.name)
        try:
            return LAYERS[op.type](self._keras, Step(op, self._names[last.name], inputs, bias, summand)), last
        except NoLayerError as error:
            raise _refusal(op, f"has no layer {error}") from error
        except Exception as error:  # Keras raises exceptions of many classes for arguments that it does not take
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise _refusal(op, f"refuses it: {reason}") from error

    def _sum_after(self, op: Any) -> tuple[Any, Any] | None:
        """The addition of one constant per channel, if nothing else reads the operator; and the constant, `(C,)`."""
        readers = [each for each in op.outputs[0].consumers() if each.name in self._wanted]
        if len(readers) != 1 or readers[0].type not in (*_SUMS, "BiasAdd"):
            return None
        other = next((each for each in readers[0].inputs if each.name != op.outputs[0].name), None)
        if other is None or other.op.type != "Const":
            return None
        constant = self._traced.tf.make_ndarray(other.op.get_attr("value"))
        channels = int(op.outputs[0].shape[-1])
        is_per_channel = constant.size == channels and constant.shape[-1:] == (channels,)
        return (readers[0], constant.reshape(-1)) if is_per_channel else None


def _is_factor(inputs: Sequence[Any]) -> bool:
    return any(isinstance(each, np.ndarray) for each in inputs)


def _layer_names(ops: Sequence[Any]) -> dict[str, str]:
    """The name of each operator's Keras layer: that of PyTorch's operator for its last, with a word for the others.

    Operators in TensorFlow are called `LAYER/OPERATOR/...`; Keras allows no slashes.
    """
    last = {_label(op): op.name for op in ops}
    names = {}
    for op in ops:
        label, word = _label(op), op.name.split("/")[-1]
        plain = label.replace("/", ".")
        names[op.name] = plain if last[label] == op.name else f"{plain}__{word}"
    return names


def _label(op: Any) -> str:
    return "/".join(op.name.split("/")[:2])


def _refusal(op: Any, problem: str) -> UnsupportedOperatorError:
    layer = _label(op).split("/")[0]
    return UnsupportedOperatorError(
        f"operator {op.type} in layer '{layer}': Keras {problem}; export this network to onnx or tflite"
    )
