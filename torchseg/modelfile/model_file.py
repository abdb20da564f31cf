"""What a model file says of itself: one object, read once and handed on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torchseg.modelfile.card import WEIGHTS, Card, read_card
from torchseg.modelfile.certificate import FEW_IMAGES, TOO_FEW, certificate_path, read_certificate
from torchseg.modelfile.contents import Contents, TensorInfo, checkpoint_contents, read_onnx, read_tflite
from torchseg.modelfile.keras.file import read_keras
from torchseg.modelfile.kinds import CHECKPOINT_FILES, EXPORT_SUFFIXES, check_readable, kind_of
from torchseg.modelfile.layout import Layout, layout_of
from torchseg.modelfile.metadata import METADATA_PREFIX, count_classes, recorded_spec
from torchseg.spec import ImageSpec

_USUAL_LAYOUT: Mapping[str, Layout] = {"torch": "NCHW", "onnx": "NCHW", "tflite": "NHWC", "keras": "NHWC"}

_PIXEL_TYPES = ("uint8", "int16", "uint16", "int32", "int64")


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """The images that a model file takes.

    Attributes:
        height: in pixels; None if any.
        width: in pixels; None if any.
        channels: None if any.
        pixels: whether it takes whole numbers from 0 to 255 and normalises them itself.
    """

    height: int | None
    width: int | None
    channels: int | None
    pixels: bool


@dataclass(frozen=True)
class ModelFile:
    """A model file, described. Nothing is read before it is asked for, and nothing is read twice.

    Attributes:
        path: an `.onnx`, `.tflite` or `.keras` file, a checkpoint's folder, or one of the two files in that folder.
        complete: whether to refuse an ONNX file that ONNX's own check rejects or that keeps weights in other files.
    """

    path: Path
    complete: bool = field(default=False, kw_only=True)

    @property
    def kind(self) -> str:
        """`torch` for a checkpoint, `onnx`, `tflite` or `keras`; raises ValueError for another kind of file."""
        return kind_of(self.path)

    @cached_property
    def card(self) -> Card:
        """The card of a checkpoint; raises ValueError if there is none at this path, or if it is damaged."""
        return read_card(self.path if self.path.is_dir() else self.path.parent)

    @cached_property
    def contents(self) -> Contents:
        """Inputs, outputs and metadata; a checkpoint has none of the last.

        Raises:
            ValueError: if the file is missing, damaged, refused or of another kind.
            ImportError: for a `.tflite` file if LiteRT is not installed.
        """
        if self.kind == "torch":
            return checkpoint_contents(self.card.spec)
        if not self.path.is_file():
            raise ValueError(f"there is no file {self.path}; export the network first")
        if self.kind == "onnx":
            return read_onnx(self.path, complete=self.complete)
        return read_tflite(self.path) if self.kind == "tflite" else read_keras(self.path)

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """What the network takes; raises as `contents` does."""
        return self.contents.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """What the network gives; raises as `contents` does."""
        return self.contents.outputs

    @property
    def metadata(self) -> Mapping[str, str]:
        """Text by entry name; raises as `contents` does."""
        return self.contents.metadata

    @property
    def layout(self) -> str:
        """`NCHW` or `NHWC`, of the images, as the metadata have it or as is usual for this kind of file."""
        return self.metadata.get(f"{METADATA_PREFIX}layout", _USUAL_LAYOUT[self.kind])

    @cached_property
    def image(self) -> ImageInput | None:
        """The images that the first input takes.

        None if the input is of another shape, or if the file cannot be read: it is damaged, of another kind, or its
        library is not installed. Opening it in its runtime shows which.
        """
        if self._readable is None or not self._readable.inputs:
            return None
        first = self._readable.inputs[0]
        if len(first.shape) != 4:
            return None
        sides = [side if isinstance(side, int) and side > 0 else None for side in first.shape]
        channels_last = layout_of(sides, usual=_USUAL_LAYOUT[self.kind]) == "NHWC"
        channels, height, width = (sides[3], sides[1], sides[2]) if channels_last else sides[1:]
        pixels = first.dtype in _PIXEL_TYPES and first.scale is None
        return ImageInput(height=height, width=width, channels=channels, pixels=pixels)

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width that the file was made for, in pixels; None if it takes any size or does not say."""
        image = self.image
        return (image.height, image.width) if image and image.height and image.width else None

    @property
    def precision(self) -> str:
        """The precision in the file's metadata, `fp32` for a checkpoint; empty if the file does not say."""
        if self._readable is None:
            return ""
        return self._readable.metadata.get(f"{METADATA_PREFIX}precision", "fp32" if self.kind == "torch" else "")

    @cached_property
    def num_classes(self) -> int | None:
        """Number of classes that the file names; None if it names none."""
        if self._readable is None:
            return None
        return (
            self.card.spec.num_classes
            if self.kind == "torch"
            else count_classes(self._readable.metadata, path=self.path)
        )

    @property
    def spec(self) -> ImageSpec | None:
        """Image spec of a checkpoint's card, or of the metadata that this project writes; None if it is not there."""
        return self.spec_for(None)

    def spec_for(self, size: tuple[int, int] | None) -> ImageSpec | None:
        """The recorded image spec, for images of this size if the file takes any size; raises ValueError if damaged.

        Args:
            size: height and width in pixels; with None, a file that takes any size has no spec.
        """
        if self.kind == "torch":
            return self.card.spec
        if self._readable is None or self.image is None:
            return None
        height, width = size or (None, None)
        height, width = self.image.height or height, self.image.width or width
        if height is None or width is None:
            return None
        channels = self.image.channels or 3
        return recorded_spec(self._readable.metadata, size=(height, width), channels=channels, path=self.path)

    @cached_property
    def parts(self) -> tuple[Path, ...]:
        """The files needed at run time: the model file and its external ONNX data, or a checkpoint's weights.

        Raises:
            ValueError: if a file is missing, or lies outside the model file's folder, or is not ONNX at all.
        """
        parts = (self._main, *self._data_files())
        for part in parts:
            if not part.is_file():
                raise ValueError(f"there is no file {part}; check the path, or export the model again")
        return parts

    @property
    def size_bytes(self) -> int:
        """Bytes on disk of all `parts`; raises as `parts` does."""
        return sum(part.stat().st_size for part in self.parts)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the model file or of a checkpoint's weights, in hex, as certificates record it."""
        return sha256_of(self._main)

    @property
    def certificate_path(self) -> Path:
        """Where the file's certificate is, if it has one."""
        return certificate_path(self.path)

    @cached_property
    def certificate(self) -> Mapping[str, Any] | None:
        """The file's certificate; None if there is none. Raises ValueError if it is damaged or of another version."""
        return read_certificate(self.path) if self.certificate_path.is_file() else None

    @cached_property
    def certificate_state(self) -> str:
        """`holds`, `fails`, `cannot be read`, `is that of another file`, or `few images`; empty without a certificate.

        With few images it holds, but does not state how much accuracy the file loses.
        """
        try:
            certificate = self.certificate
        except ValueError:
            return "cannot be read"
        if certificate is None:
            return ""  # it has none
        name = self.path.name.replace(".failed.", ".")  # how a file that failed was called when it was certified
        if (certificate.get("sha256"), certificate.get("file", name)) != (self.sha256, name):
            return "is that of another file"
        if not (verdict := certificate.get("verdict", {})).get("passed"):
            return "fails"
        return FEW_IMAGES if str(verdict.get("accuracy", "")).startswith(TOO_FEW) else "holds"

    def check(self) -> None:
        """Finds out whether a runtime, which might crash on a damaged file, can open this one; runs nothing.

        Raises:
            ValueError: if the file is missing, empty, of an unknown kind or truncated, or reads files outside its
                folder.
            ImportError: for a `.tflite` file if LiteRT is not installed.
        """
        kind = self.kind
        check_readable(self.path)
        if kind == "torch":
            _ = self.card
        elif kind in ("tflite", "keras"):
            _ = self.contents
        _ = self.parts

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: `format`, `layout`, `inputs`, `outputs` and `metadata`; raises as `contents` does."""
        return {
            "format": self.kind,
            "layout": self.layout,
            "inputs": [each.to_dict() for each in self.inputs],
            "outputs": [each.to_dict() for each in self.outputs],
            "metadata": dict(self.metadata),
        }

    @property
    def _main(self) -> Path:
        folder = self.path.parent if self.path.name in CHECKPOINT_FILES else self.path
        return folder / WEIGHTS if folder.is_dir() else self.path

    @cached_property
    def _readable(self) -> Contents | None:
        try:
            return self.contents
        except Exception:  # each library has its own exceptions for a damaged file, some without a common base
            return None

    def _data_files(self) -> list[Path]:
        if self._main.suffix != ".onnx" or not self._main.is_file():
            return []
        try:
            names = self.contents.data_files
        except Exception as error:  # protobuf's DecodeError, which has no public typed location
            reason = error.__cause__ or error
            raise ValueError(f"{self.path} is not an ONNX file ({reason}); export the model again") from error
        folder = self.path.parent
        for name in names:
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise ValueError(
                    f"{self.path} wants to read {folder / name}, outside its own folder; export it again as one file"
                )
        return sorted(folder / name for name in names)


def complete_file(path: Path) -> ModelFile:
    """An exported file that is refused, once it is read, unless it is complete; see `ModelFile.complete`.

    Raises:
        ValueError: if it is another kind of file.
    """
    if path.suffix not in EXPORT_SUFFIXES:
        raise ValueError(f"{path} ends in none of {', '.join(EXPORT_SUFFIXES)}; give a file that the export made")
    return ModelFile(path, complete=True)


def describe_file(path: Path) -> dict[str, Any]:
    """Reads inputs, outputs and metadata of an exported file, and checks that the file is complete.

    Returns:
        A dictionary with `format`, `layout` (of the images), `inputs`, `outputs` and `metadata`. Inputs and outputs are
        lists of dictionaries with `name`, `shape` (None or a name for a dynamic dimension) and `type`, plus `scale` and
        `zero_point` if quantized.

    Raises:
        ValueError: if the file is missing, damaged, of another kind, or keeps weights in other files.
        ImportError: for a `.tflite` file if LiteRT is not installed.
    """
    return complete_file(path).to_dict()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
