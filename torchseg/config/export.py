"""Flags of the `export` and `verify` commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torchseg.config.base import IO_TYPES, PRECISIONS, CommonConfig, DataConfig, choices
from torchseg.config.child_limits import ChildLimitFlags
from torchseg.modelfile.kinds import ALL_FORMATS, FLOAT_FORMATS, FORMATS

_FLOAT = "fp32"


@dataclass(frozen=True, kw_only=True)
class ExportFlags:
    """Flags that select the model files to write.

    Attributes:
        formats: Formats to export, separated by commas: onnx, tflite, keras (a .keras file, at fp32 alone).
        precisions: Precisions to export, separated by commas: fp32, fp16, dynamic, int8.
    """

    formats: str = ",".join(FORMATS)
    precisions: str = ",".join(PRECISIONS)

    def __post_init__(self) -> None:
        _ = self.files

    @property
    def files(self) -> list[tuple[str, str]]:
        """Pairs of format and precision."""
        formats = choices("formats", self.formats, ALL_FORMATS)
        precisions = choices("precisions", self.precisions, PRECISIONS)
        if _FLOAT not in precisions and (floats := [kind for kind in formats if kind in FLOAT_FORMATS]):
            raise ValueError(
                f"precisions is {self.precisions}, and a {floats[0]} file is {_FLOAT} alone; add {_FLOAT} to "
                f"--precisions, or leave {floats[0]} out of --formats"
            )
        return [
            (kind, precision) for kind in formats for precision in ([_FLOAT] if kind in FLOAT_FORMATS else precisions)
        ]


@dataclass(frozen=True, kw_only=True)
class VariantFlags:
    """Flags that request further variants of each model file.

    Attributes:
        end_to_end: Also write each file as .end_to_end, with pre- and postprocessing inside: it takes uint8 images
            (1, H, W, C) and returns classes.
        dynamic_shape: Also write each ONNX file as .dynamic_shape, which takes any batch size and any image size that
            is a multiple of the network's stride.
        io: Also write each int8 TFLite file with these I/O dtypes, separated by commas: uint8, float.
    """

    end_to_end: bool = field(default=False, metadata={"was": "bake"})
    dynamic_shape: bool = False
    io: str = ""

    def __post_init__(self) -> None:
        _ = self.io_types

    @property
    def io_types(self) -> list[str]:
        """I/O dtypes of the further int8 TFLite files."""
        return choices("io", self.io, IO_TYPES) if self.io else []


@dataclass(frozen=True, kw_only=True)
class ExportConfig(VariantFlags, ExportFlags, DataConfig):
    """Exports a trained network to ONNX, TFLite and Keras, each file with its certificate.

    Example:
        runs/mine/student --formats tflite --precisions int8

    Attributes:
        checkpoint: Folder of a trained network, e.g. runs/scenes/student.
        out: Folder for the files. Default: artifacts/ beside the checkpoint's folder.
        max_drop: Points of mean IoU that a dynamic or int8 file may lose on the validation split. If plain int8 loses
            more, as few layers as possible are kept in float. Default: 2, with every layer in int8.
        max_class_drop: Points of IoU that any single class may lose. Default: 4 times --max_drop, if that is given.
        qat_epochs: Epochs of quantization-aware training with labels before the export; the files are then made from
            the resulting checkpoint, CHECKPOINT_qat. Default: 0, none.
        training_precision: Precision of --qat_epochs: fp32 or bf16; auto is fp32, because rounding to bfloat16 hides
            the int8 levels.
        device: Device of --qat_epochs: cpu, cuda, or auto, which takes cuda if PyTorch can use a GPU.
        workers: Processes that load and augment images for --qat_epochs; 0 loads them in the training process.
        data: Data set, as for training. Default: that of the run that the checkpoint lies in, read as the run reads it.
        root: Folder of the data set, or its parent folder. Default, without --data: where the run had it.
        image_size: Input size of the network in pixels: N, or H,W, with --data. Default: 64 for scenes, 128 otherwise;
            without --data, that of the run.
    """

    checkpoint: Path = field(metadata={"positional": ""})
    out: Path | None = None
    max_drop: float | None = None
    max_class_drop: float | None = None
    qat_epochs: int = 0
    training_precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = 1
    data: str = ""

    def __post_init__(self) -> None:
        DataConfig.__post_init__(self)
        ExportFlags.__post_init__(self)
        VariantFlags.__post_init__(self)
        for name, points in (("max_drop", self.max_drop), ("max_class_drop", self.max_class_drop)):
            if points is not None and not 0 < points <= 100:
                raise ValueError(f"{name} is {points}; give points of IoU above 0, e.g. 0.5")
        if self.max_class_drop is not None and self.max_drop is None:
            raise ValueError("max_class_drop is given without max_drop; give the points of mean IoU too")
        if self.qat_epochs < 0:
            raise ValueError(f"qat_epochs is {self.qat_epochs}; give 0 or more")


@dataclass(frozen=True, kw_only=True)
class VerifyConfig(ChildLimitFlags, CommonConfig):
    """Recomputes the certificates of exported files and compares them with the stored ones.

    Example:
        runs/mine/artifacts/student.int8.tflite

    Attributes:
        files: Model files of a run, e.g. runs/scenes/artifacts/student.fp32.onnx, or the run's folder for all of them.
        root: Folder where the run's data set is now. Default: where it was when the run was made.
        sign: Private key, ed25519 in PEM, to sign the run with if everything in it holds; needs the extra sign.
        verify_key: Public key, in PEM, of whoever signed the run; an absent or wrong signature is a failure.
    """

    files: list[Path] = field(metadata={"positional": "+"})
    root: Path | None = None
    sign: Path | None = None
    verify_key: Path | None = None

    def __post_init__(self) -> None:
        CommonConfig.__post_init__(self)
        ChildLimitFlags.__post_init__(self)
