"""Turns an exported file into an end-to-end model: uint8 image in, classes out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from torchseg.atomic_file import partial_file
from torchseg.modelfile.metadata import METADATA_PREFIX
from torchseg.modelfile.model_file import complete_file
from torchseg.spec import ImageSpec


def write_end_to_end(source: Path, target: Path, spec: ImageSpec) -> None:
    """Writes an end-to-end copy of a model file, which normalises the image and takes the argmax itself.

    The input is `image`, uint8 `(B, H, W, C)`, as decoded; the output is `classes`, uint8 `(B, H, W)`. Everything in
    between is unchanged: same weights, same arithmetic, also in int8.

    Args:
        source: `.onnx` or `.tflite` file written by this package.
        target: file of the same format; appears only once it is complete.
        spec: size, normalisation and classes of the network's images.

    Raises:
        ValueError: if the source is damaged or already end-to-end, or if source and target differ in format.
        ImportError: for `.tflite`, if TensorFlow is not installed.
    """
    if source.suffix != target.suffix:
        raise ValueError(f"{target} is of another format than {source}; give both the same ending")
    if is_end_to_end(source):
        raise ValueError(f"{source} takes images already; give the file that the export made without --end_to_end")
    content = _onnx_end_to_end(source, spec) if source.suffix == ".onnx" else _tflite_end_to_end(source, spec)
    with partial_file(target) as partial:
        partial.write_bytes(content)


def is_end_to_end(path: Path) -> bool:
    """Whether a file takes uint8 images and returns classes; raises ValueError as `describe_file` does."""
    return complete_file(path).metadata.get(f"{METADATA_PREFIX}output") == "classes"


def end_to_end_spec(spec: ImageSpec) -> ImageSpec:
    """The spec of the images that an end-to-end file takes: the same ones, with values from 0 to 255."""
    return replace(spec, mean=(0.0,) * spec.channels, std=(1 / 255,) * spec.channels)


def _onnx_end_to_end(source: Path, spec: ImageSpec) -> bytes:
    import onnx

    from tf_bridge.onnx.end_to_end import end_to_end_onnx

    model = end_to_end_onnx(onnx.load(source), spec)
    kept = {entry.key: entry.value for entry in model.metadata_props} | end_to_end_texts(spec)
    del model.metadata_props[:]
    for key, value in kept.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _tflite_end_to_end(source: Path, spec: ImageSpec) -> bytes:
    from tf_bridge.tflite.end_to_end import end_to_end_tflite

    return end_to_end_tflite(source.read_bytes(), spec, end_to_end_texts(spec))


def end_to_end_texts(spec: ImageSpec) -> dict[str, str]:
    """Metadata entries that an end-to-end file changes; its mean and std leave the uint8 values as they are."""
    plain = end_to_end_spec(spec)
    texts = {
        "scale": "none: the file takes the image as it is, uint8",
        "mean": json.dumps(list(plain.mean)),
        "std": json.dumps(list(plain.std)),
        "layout": "NHWC",
        "output": "classes",
    }
    return {f"{METADATA_PREFIX}{name}": text for name, text in texts.items()}
