"""Makes an exported file ready to use: pictures in, classes out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from torchseg.atomic_file import partial_file
from torchseg.modelfile.describe import describe_file
from torchseg.modelfile.metadata import METADATA_PREFIX
from torchseg.spec import ImageSpec


def write_end_to_end(source: Path, target: Path, spec: ImageSpec) -> None:
    """Writes a copy of a file that scales pictures and takes the argmax by itself.

    It takes `image`, uint8 `(B, H, W, C)`, the picture as a decoder gives it, and gives `classes`, uint8 `(B, H, W)`.
    In between it is the file that it was: same weights, same arithmetic, also in int8.

    Args:
        source: `.onnx` or `.tflite` file from an exporter here.
        target: of the same format; appears when it is complete.
        spec: the pictures that the network was made for.

    Raises:
        ValueError: if the source is damaged, end-to-end already, or of another format than the target.
        ImportError: without TensorFlow, for `.tflite`.
    """
    if source.suffix != target.suffix:
        raise ValueError(f"{target} is of another format than {source}; give both the same ending")
    if is_end_to_end(source):
        raise ValueError(f"{source} takes pictures already; give the file that the export made without --end_to_end")
    content = _onnx_end_to_end(source, spec) if source.suffix == ".onnx" else _tflite_end_to_end(source, spec)
    with partial_file(target) as partial:
        partial.write_bytes(content)


def is_end_to_end(path: Path) -> bool:
    """Whether a file takes pictures and gives classes; raises ValueError as `describe_file` does."""
    texts: dict[str, str] = describe_file(path)["metadata"]
    return texts.get(f"{METADATA_PREFIX}output") == "classes"


def end_to_end_spec(spec: ImageSpec) -> ImageSpec:
    """The same pictures, scaled to what such a file takes: values from 0 to 255."""
    return replace(spec, mean=(0.0,) * spec.channels, std=(1 / 255,) * spec.channels)


def _onnx_end_to_end(source: Path, spec: ImageSpec) -> bytes:
    import onnx

    from tf_bridge.onnx.end_to_end import end_to_end_onnx

    model = end_to_end_onnx(onnx.load(source), spec)
    kept = {entry.key: entry.value for entry in model.metadata_props} | _texts(spec)
    del model.metadata_props[:]
    for key, value in kept.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _tflite_end_to_end(source: Path, spec: ImageSpec) -> bytes:
    from tf_bridge.tflite.end_to_end import end_to_end_tflite

    return end_to_end_tflite(source.read_bytes(), spec, _texts(spec))


def _texts(spec: ImageSpec) -> dict[str, str]:
    """What the metadata of such a file says differently; mean and std are those that leave a picture as it is."""
    plain = end_to_end_spec(spec)
    texts = {
        "scale": "none: the file takes the picture as it is, uint8",
        "mean": json.dumps(list(plain.mean)),
        "std": json.dumps(list(plain.std)),
        "layout": "NHWC",
        "output": "classes",
    }
    return {f"{METADATA_PREFIX}{name}": text for name, text in texts.items()}
