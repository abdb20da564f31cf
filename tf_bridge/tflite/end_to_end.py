"""Adds normalisation before a TFLite graph and the argmax after it, or changes the dtype of its input and output."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tf_bridge.tflite.flatbuffer import TfliteEdit
from torchseg.atomic_file import partial_file
from torchseg.spec import ImageSpec

_PIXELS = ([1.0], [-128])  # int8 codes of the values 0 to 255


def end_to_end_tflite(content: bytes, spec: ImageSpec, metadata: Mapping[str, str]) -> bytes:
    """Makes a file end-to-end: uint8 image `(1, H, W, C)` in, `classes`, uint8 `(1, H, W)`, out.

    In an int8 file, normalisation is an int8 operation, too. Its factors and summands are exact to a hundredth of a
    grey level, and it rounds to the same codes as normalisation outside the plain int8 file.

    Args:
        content: bytes of a file from `image` `(1, H, W, C)` to `logits` `(1, H, W, K)`, float32 or int8.
        spec: mean and std of the normalisation.
        metadata: entries to change or add.

    Returns:
        Bytes of the end-to-end file.
    """
    edit = TfliteEdit(content)
    image, logits = edit.input, edit.output
    shape = [int(side) for side in edit.tensor(image).shape]
    # With scale 1 and zero point 0, the codes are the values.
    picture = edit.add_tensor("picture", shape, "UINT8", codes=([1.0], [0]) if edit.is_int8(image) else None)
    edit.tensor(image).name = b"image/prepared"
    (_scale_integers if edit.is_int8(image) else _scale_floats)(edit, picture, image, spec)
    edit.take(picture, "image")
    wide = edit.add_tensor("classes/wide", shape[:3], "INT32")
    classes = edit.add_tensor("classes", shape[:3], "UINT8")
    axis = edit.add_tensor("classes/axis", [1], "INT32", values=np.asarray([3], np.int32))
    edit.put_behind("ARG_MAX", [logits, axis], wide, outputType=edit.tensor(wide).type)
    edit.put_behind("CAST", [wide], classes, inDataType=edit.tensor(wide).type, outDataType=edit.tensor(classes).type)
    edit.give(classes, "classes")
    return edit.content(metadata)


def _scale_floats(edit: TfliteEdit, picture: int, image: int, spec: ImageSpec) -> None:
    factor, summand = _factor_and_summand(spec)
    shape = edit.tensor(image).shape
    pixels = edit.add_tensor("image/float", shape, "FLOAT32")
    scaled = edit.add_tensor("image/scaled", shape, "FLOAT32")
    places = [
        edit.add_tensor(f"image/{name}", [spec.channels], "FLOAT32", values=values.astype(np.float32))
        for name, values in (("factor", factor), ("summand", summand))
    ]
    kinds = {"inDataType": edit.tensor(picture).type, "outDataType": edit.tensor(pixels).type}
    edit.put_in_front("CAST", [picture], pixels, **kinds)
    edit.put_in_front("MUL", [pixels, places[0]], scaled)
    edit.put_in_front("ADD", [scaled, places[1]], image)


def _scale_integers(edit: TfliteEdit, picture: int, image: int, spec: ImageSpec) -> None:
    """A depthwise 1x1 convolution whose weight is the factor and whose bias is the summand of each channel."""
    factor, summand = _factor_and_summand(spec)
    shape = edit.tensor(image).shape
    pixels = edit.add_tensor("image/codes", shape, "INT8", codes=_PIXELS)
    steps = factor / 127  # every weight has the code 127
    zeros = [0] * spec.channels
    weights = edit.add_tensor(
        "image/factor",
        [1, 1, 1, spec.channels],
        "INT8",
        codes=(steps.tolist(), zeros),
        values=np.full(spec.channels, 127, np.int8),
    )
    bias = edit.add_tensor(
        "image/summand",
        [spec.channels],
        "INT32",
        codes=(steps.tolist(), zeros),
        values=np.round(summand / steps).astype(np.int32),
    )
    edit.put_in_front("QUANTIZE", [picture], pixels)
    strides = dict.fromkeys(("strideW", "strideH", "depthMultiplier", "dilationWFactor", "dilationHFactor"), 1)
    edit.put_in_front("DEPTHWISE_CONV_2D", [pixels, weights, bias], image, **strides)


def _factor_and_summand(spec: ImageSpec) -> tuple[np.ndarray, np.ndarray]:
    """`(picture / 255 - mean) / std` as factor and summand, each `(C,)`."""
    mean, std = np.asarray(spec.mean), np.asarray(spec.std)
    return 1 / (255 * std), -mean / std


class TfliteIo(enum.StrEnum):
    """I/O dtype of a quantized file in place of int8."""

    UINT8 = "uint8"  # codes from 0 to 255; the zero points shift by 128
    FLOAT = "float"  # float32 values, which the file itself quantizes and dequantizes


def change_io(source: Path, target: Path, io: TfliteIo) -> None:
    """Writes a copy of an int8 file with another I/O dtype; what it computes stays the same to the bit.

    Args:
        source: `.tflite` file with int8 input and output.
        target: file to write; appears only once it is complete.
        io: dtype of the input and the output of the copy.

    Raises:
        ValueError: if input and output of the source are not int8.
    """
    edit = TfliteEdit(source.read_bytes())
    image, logits = edit.input, edit.output
    if not (edit.is_int8(image) and edit.is_int8(logits)):
        raise ValueError(f"{source} does not take and give int8; give an int8 file that the export made without --io")
    edit.tensor(image).name, edit.tensor(logits).name = b"image/codes", b"logits/codes"
    taken, given = (_end(edit, place, io) for place in (image, logits))
    edit.put_in_front("QUANTIZE", [taken], image)
    edit.put_behind("QUANTIZE" if io is TfliteIo.UINT8 else "DEQUANTIZE", [logits], given)
    edit.take(taken, "image")
    edit.give(given, "logits")
    with partial_file(target) as partial:
        partial.write_bytes(edit.content({}))


def _end(edit: TfliteEdit, place: int, io: TfliteIo) -> int:
    tensor = edit.tensor(place)
    if io is TfliteIo.FLOAT:
        return edit.add_tensor("end", tensor.shape, "FLOAT32")
    scale, zero_point = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    return edit.add_tensor("end", tensor.shape, "UINT8", codes=([scale], [zero_point + 128]))
