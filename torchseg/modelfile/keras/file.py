"""Reads a Keras file without Keras: its layers, its inputs and outputs, its metadata and its weights."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from torchseg.modelfile.biases import NO_BIAS, StoredBias
from torchseg.modelfile.contents import Contents, TensorInfo
from torchseg.modelfile.keras.layers import check_keras_file
from torchseg.modelfile.metadata import METADATA_PREFIX, count_classes
from torchseg.modelfile.weights import StoredWeight, stored_weight
from torchseg.record import plain_json

METADATA_FILE, _CONFIG_FILE, _WEIGHTS_FILE = "metadata.json", "config.json", "model.weights.h5"
_MODELS = ("Functional", "Sequential")
# The axis of the output channels in the kernel of each layer; one of a depthwise convolution is reshaped first.
_CHANNEL_AXIS = {"Conv2D": 3, "DepthwiseConv2D": 3, "Conv2DTranspose": 2, "Dense": 1, "Conv1D": 2}
_NONE = np.empty(0, np.int32)
_PART = "__"  # in the name of a layer that is a part of an operator of PyTorch


def read_keras(path: Path) -> Contents:
    """Reads a `.keras` file, of this project or another, as far as its description goes.

    The size of the output is known for files of this project alone: it is that of the image, and the metadata name the
    classes.

    Raises:
        ValueError: if the file is damaged, or has layers that run code or open other files.
    """
    check_keras_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
                raise ValueError(f"{repeated[0]} is in it {names.count(repeated[0])} times")
            config, entries = (plain_json(archive.read(name).decode()) for name in (_CONFIG_FILE, METADATA_FILE))
            weights = archive.getinfo(_WEIGHTS_FILE)
            if archive.testzip() is not None or weights.file_size == 0:
                raise ValueError("its weights are damaged")
        texts = {name: text for name, text in entries.items() if name.startswith(METADATA_PREFIX)}
        inputs = tuple(_inputs(config))
        return Contents(inputs=inputs, outputs=tuple(_outputs(config, inputs, texts, path)), metadata=texts)
    except (KeyError, TypeError, AttributeError, IndexError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a complete Keras file ({error}); export it again") from error


def _inputs(config: Mapping[str, Any]) -> Iterator[TensorInfo]:
    for layer in _layers(config):
        if layer["class_name"] == "InputLayer":
            own = layer["config"]
            yield TensorInfo(name=own["name"], shape=tuple(own["batch_shape"]), dtype=_dtype(own.get("dtype")))


def _dtype(value: Any) -> str:
    """Keras writes a name, or a policy that has one."""
    return str(value["config"]["name"]) if isinstance(value, Mapping) else str(value or "float32")


def _outputs(
    config: Mapping[str, Any], inputs: tuple[TensorInfo, ...], texts: Mapping[str, str], path: Path
) -> Iterator[TensorInfo]:
    if not inputs or config["class_name"] not in _MODELS:
        return
    given = config["config"].get("output_layers") or [[_layers(config)[-1]["config"]["name"]]]
    names = [given[0]] if isinstance(given[0], str) else [each[0] for each in given]
    classes = count_classes(texts, path=path)
    shape = (*inputs[0].shape[:3], classes) if classes else ()
    yield from (TensorInfo(name=name, shape=shape, dtype="float32") for name in names)


def _layers(config: Mapping[str, Any]) -> list[Any]:
    return list(config["config"]["layers"]) if config["class_name"] in _MODELS else []


def keras_layers(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Class and description of each layer of a `.keras` file, in its own order."""
    with zipfile.ZipFile(path) as archive:
        config = plain_json(archive.read(_CONFIG_FILE).decode())
    return [(str(layer["class_name"]), layer["config"]) for layer in _layers(config)]


def keras_weights(path: Path) -> Iterator[StoredWeight]:
    """The kernel of each convolution and dense layer in a `.keras` file; needs h5py, which comes with Keras."""
    import h5py

    with zipfile.ZipFile(path) as archive:
        config = plain_json(archive.read(_CONFIG_FILE).decode())
        content = io.BytesIO(archive.read(_WEIGHTS_FILE))
    kinds = {layer["config"]["name"]: layer["class_name"] for layer in _layers(config)}
    with h5py.File(content) as file:
        groups: list[Any] = []
        file.visititems(lambda _, each: groups.append(each) if isinstance(each, h5py.Group) else None)
        for group in groups:
            name = str(group.attrs.get("name", ""))
            if kinds.get(name) in _CHANNEL_AXIS and "0" in group:
                bias = np.asarray(group["1"], np.float64) if "1" in group else None
                yield _weight(name, kinds[name], np.asarray(group["0"]), bias)


def _weight(name: str, kind: str, kernel: Any, bias: Any) -> StoredWeight:
    if kind == "DepthwiseConv2D":
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)  # (kh, kw, 1, C_out)
    added = NO_BIAS if bias is None else StoredBias(bias, "float32")
    return stored_weight(pytorch_name(name), kernel, channel_axis=_CHANNEL_AXIS[kind], zero_point=_NONE, bias=added)


def pytorch_name(layer: str) -> str:
    """`LAYER/OPERATOR` of PyTorch for the name of a Keras layer that this project wrote, `LAYER.OPERATOR`."""
    before, _, operator = layer.partition(_PART)[0].rpartition(".")
    return f"{before}/{operator}" if before else operator


def is_whole(layer: str) -> bool:
    """Whether a Keras layer computes the result of an operator of PyTorch, and not only a part of it."""
    return _PART not in layer
