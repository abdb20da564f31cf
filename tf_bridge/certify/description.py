"""Compares what a model file says of itself with the network that it was made from."""

from __future__ import annotations

from tf_bridge.end_to_end import end_to_end_texts
from torchseg.modelfile.metadata import METADATA_PREFIX, metadata
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.tflite_tables import table_problems
from torchseg.spec import ImageSpec


def description_problems(file: ModelFile, spec: ImageSpec, precision: Precision) -> list[str]:
    """The entries of a file that are not those of its network, one sentence each.

    Compares class names, colour order, scaling, mean, std, range of the image files' values, ignored value, layout and
    precision in the metadata, and the size, channels and classes that input and output have, of which there is one
    each. Of a TFLite file, see `table_problems` as well.

    Args:
        file: `.onnx` or `.tflite`.
        spec: of the network.
        precision: of the file.
    """
    end_to_end = file.metadata.get(f"{METADATA_PREFIX}output") == "classes"
    expected: dict[str, str | None] = {f"{METADATA_PREFIX}value_range": None}  # which most networks do not have
    expected |= metadata(spec, layout="NCHW" if file.kind == "onnx" else "NHWC", precision=precision)
    if end_to_end:
        expected |= end_to_end_texts(spec)
    problems = [
        f"the file's metadata say {name.removeprefix(METADATA_PREFIX)} {file.metadata.get(name)}; "
        f"the network has {text or 'none'}"
        for name, text in expected.items()
        if file.metadata.get(name) != text
    ]
    problems += [
        f"the file has {len(found)} {kind}s ({', '.join(each.name for each in found)}); the network has one"
        for kind, found in (("input", file.inputs), ("output", file.outputs))
        if len(found) != 1
    ]
    problems += table_problems(file.path) if file.kind == "tflite" else []
    return problems + _shape_problems(file, spec, classes=end_to_end)


def _shape_problems(file: ModelFile, spec: ImageSpec, *, classes: bool) -> list[str]:
    problems = []
    image = file.image
    if image is None:
        return ["the file does not take images of 4 dimensions"]
    for name in ("height", "width", "channels"):
        found, wanted = getattr(image, name), getattr(spec, name)
        if found not in (None, wanted):
            problems.append(f"the file takes images of {name} {found}; the network takes {wanted}")
    shape = file.outputs[0].shape
    if not classes and len(shape) == 4:
        found = shape[1] if file.kind == "onnx" else shape[3]
        if isinstance(found, int) and found > 0 and found != spec.num_classes:
            problems.append(f"the file returns {found} classes; the network has {spec.num_classes}")
    return problems
