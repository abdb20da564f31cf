"""Variants of a network's plain model files: dynamic shape, end-to-end, other I/O dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tf_bridge.end_to_end import write_end_to_end
from tf_bridge.tflite.end_to_end import TfliteIo, change_io
from torchseg.config import VariantFlags
from torchseg.modelfile.model_file import ModelFile
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.export.exporter import NetworkExport


def variants(
    plain: Path, flags: VariantFlags, exported: NetworkExport, *, precision: Precision
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """The variants of `STAGE.PRECISION.FORMAT` that the flags ask for, each with a function that writes it.

    `.dynamic_shape` takes any height and width, `.end_to_end` takes uint8 images and returns classes, and `.io_TYPE`
    has another I/O dtype. Write each file before taking the next, which may be made from it.
    """
    bases = [plain]
    if flags.dynamic_shape and plain.suffix == ".onnx":
        bases.append(_beside(plain, "dynamic_shape"))
        yield bases[1], partial(exported.export_dynamic, bases[1], precision=precision)
    if flags.end_to_end:
        for base in bases:
            target = _beside(base, "end_to_end")
            yield target, partial(write_end_to_end, base, target, exported.pictures.spec)
    # A file with layers in float already has float inputs and outputs.
    if flags.io_types and ModelFile(plain).inputs[0].dtype == "int8":
        for name in flags.io_types:
            target = _beside(plain, f"io_{name}")
            yield target, partial(change_io, plain, target, TfliteIo(name))


def _beside(path: Path, word: str) -> Path:
    return path.with_name(f"{path.stem}.{word}{path.suffix}")
