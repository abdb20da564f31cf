"""Opens a Keras file or a SavedModel as one function from an image to a prediction."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tf_bridge.from_tensorflow.saved_model import check_saved_model
from tf_bridge.lowering.values import Tensor, TensorFlow
from tf_bridge.quiet import quiet
from torchseg.modelfile.keras.layers import check_keras_file
from torchseg.modelfile.model_file import complete_file
from torchseg.spec import ImageSpec

KERAS, SAVED_MODEL, TFLITE = "keras", "saved_model", "tflite"
_KINDS = {".keras": KERAS, ".h5": KERAS, ".hdf5": KERAS, ".tflite": TFLITE}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_SIGNATURE = "serving_default"


@dataclass(frozen=True, kw_only=True)
class TensorFlowSource:
    """A network as a TensorFlow function.

    Attributes:
        call: maps an image of batch 1, in the network's own layout, to the network's first output.
        layout: of the image, `NHWC` or `NCHW`.
    """

    call: Callable[[Tensor], Tensor]
    layout: str


def source_kind(path: Path) -> str:
    """`keras`, `saved_model` or `tflite`, from names and headers alone, without TensorFlow.

    Raises:
        ValueError: if there is no model of these kinds at `path`, or if the file is truncated.
    """
    if not path.exists():
        raise ValueError(f"there is no file {path}; check the path")
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise ValueError(f"{path} is not a SavedModel: it has no saved_model.pb; give the folder of model.export()")
        return SAVED_MODEL
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(
            f"{path} ends in none of {', '.join(_KINDS)} and is not a SavedModel folder; give one of those"
        )
    if kind == TFLITE:
        _ = complete_file(path).contents
    elif not (zipfile.is_zipfile(path) if path.suffix == ".keras" else _starts_with(path, _HDF5)):
        raise ValueError(
            f"{path} is not a complete {path.suffix} file ({path.stat().st_size} bytes); save the model again"
        )
    return kind


def open_source(tf: TensorFlow, path: Path, kind: str, spec: ImageSpec) -> TensorFlowSource:
    """Opens a Keras file or a SavedModel for images of this spec.

    A batch or an image size that the network leaves open is fixed; a network without a batch dimension gets one.

    Raises:
        ValueError: if the file cannot be opened, holds what no network needs, or if its input does not fit the spec.
    """
    try:
        with quiet():
            model, shape, number = _OPENERS[kind](tf, path)
    except ValueError:
        raise
    except Exception as error:  # Keras, HDF5 and TensorFlow raise exceptions of many classes
        raise ValueError(f"{path} cannot be opened: {one_line(error)}; save the model again") from error
    layout = check_input(path, shape, spec)

    def call(image: Tensor) -> Tensor:
        given = tf.cast(tf.round(image), number) if number.is_integer else tf.cast(image, number)
        answer = model(given if len(shape) == 4 else given[0])
        answer = next(iter(tf.nest.flatten(answer)))
        return tf.cast(answer if len(shape) == 4 else answer[None], tf.float32)

    return TensorFlowSource(call=call, layout=layout)


def check_input(path: Path, shape: Sequence[int | None], spec: ImageSpec) -> str:
    """The layout of a network's input, `NHWC` or `NCHW`; raises ValueError unless it takes images of this spec.

    Args:
        path: of the model, for the message.
        shape: of the input, with or without a batch dimension; None for an open dimension.
        spec: gives the size and the channels that the network must accept.
    """
    if len(shape) not in (3, 4):
        raise ValueError(f"{path} takes an input of shape {list(shape)}; expected one image: (batch, H, W, C)")
    batch, sides = (shape[0], shape[1:]) if len(shape) == 4 else (1, shape)
    layout = "NCHW" if sides[0] == spec.channels and sides[2] != spec.channels else "NHWC"
    channels, size = (sides[0], sides[1:]) if layout == "NCHW" else (sides[2], sides[:2])
    if channels not in (None, spec.channels):
        raise ValueError(f"{path} takes images of {channels} channels; the images of the data have {spec.channels}")
    if batch not in (None, 1):
        raise ValueError(f"{path} takes {batch} images at a time; save it with an open batch or a batch of 1")
    if any(side not in (None, wanted) for side, wanted in zip(size, (spec.height, spec.width), strict=True)):
        height, width = size
        raise ValueError(
            f"{path} takes {height}x{width} images and {spec.height}x{spec.width} were asked for; "
            f"give --image_size {height},{width}"
        )
    return layout


def one_line(error: BaseException) -> str:
    """The first line of an exception's message that is not empty, or the name of its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


_Opened = tuple[Callable[[Tensor], Any], tuple[int | None, ...], Any]  # function, input shape, input type


def _open_keras(tf: TensorFlow, path: Path) -> _Opened:
    check_keras_file(path)
    try:
        model = tf.keras.models.load_model(path, compile=False)
    except Exception as error:
        raise ValueError(
            f"Keras cannot open {path}: {one_line(error)}; if it has layers of its own, save it as a folder with "
            "model.export() and give that"
        ) from error
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise ValueError(f"{path} does not say what it takes; save it as a folder with model.export() and give that")
    _check_single(path, inputs)
    return lambda image: model(image, training=False), tuple(inputs[0].shape), tf.as_dtype(inputs[0].dtype)


def _open_saved_model(tf: TensorFlow, path: Path) -> _Opened:
    check_saved_model(tf, path)
    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures.get(_SIGNATURE)
    if signature is None:
        raise ValueError(f"{path} has no signature {_SIGNATURE}; save the model again with model.export()")
    inputs = signature.structured_input_signature[1]
    _check_single(path, inputs)
    ((name, wanted),) = inputs.items()
    shape = (None,) * 4 if wanted.shape.rank is None else tuple(wanted.shape)

    def call(image: Tensor) -> Any:
        loaded  # noqa: B018 - a signature only has weak references to its variables, so keep the model alive
        return signature(**{name: image})

    return call, shape, wanted.dtype


def _check_single(path: Path, inputs: Any) -> None:
    if len(inputs) != 1:
        raise ValueError(f"{path} takes {len(inputs)} inputs; expected a network that takes one image")


def _starts_with(path: Path, header: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(header)) == header


_OPENERS: dict[str, Callable[[TensorFlow, Path], _Opened]] = {KERAS: _open_keras, SAVED_MODEL: _open_saved_model}
