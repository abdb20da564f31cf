"""Exports one checkpoint to certified model files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.certificate import (
    Evidence,
    hash_images,
    make_certificate,
    write_certificate,
)
from tf_bridge.certify.file_reader import LocalFile, ReadFile
from tf_bridge.certify.first_difference import FirstDifference
from tf_bridge.certify.parity import Parity, Predict, compare
from tf_bridge.certify.proof import Proof, proven_on
from tf_bridge.certify.verdict import verdict
from tf_bridge.certify.weight_check import stored_dtypes
from tf_bridge.conversion import Conversion
from tf_bridge.end_to_end import end_to_end_spec, is_end_to_end
from tf_bridge.onnx.export import OnnxShape, export_onnx
from tf_bridge.quiet import quiet
from torchseg.checkpoint import load_checkpoint, sha256_of
from torchseg.data import Sample
from torchseg.harness.postprocess import labels_of
from torchseg.harness.runtimes.base import Runtime
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.modelfile.certificate import certificate_path, read_certificate
from torchseg.modelfile.layout import to_pixels
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.weights import StoredWeight
from torchseg.models import fold_branches
from torchseg.pipeline.export.budget import Budget, FloatChoice, choose_float_layers
from torchseg.pipeline.export.calibration import calibration_samples
from torchseg.pipeline.export.first_divergent_layer import first_divergent_layer
from torchseg.pipeline.export.foreign_file import ForeignFile
from torchseg.pipeline.run.dataset import Pictures

Images = NDArray[np.float32]


class NetworkExport:
    """Writes and certifies any number of files of one checkpoint.

    The network is loaded, traced and run on the images once, when the first file needs it. Nothing is cached outside
    the object: drop it after the last file to free the memory.

    Args:
        checkpoint: its folder.
        pictures: certificates use the validation split, calibration uses the training split.
        budget: how much accuracy dynamic and int8 files may lose.
    """

    def __init__(self, checkpoint: Path, pictures: Pictures, budget: Budget | None = None) -> None:
        self.checkpoint, self.pictures, self.budget = checkpoint, pictures, budget or Budget()

    def export(self, path: Path, *, precision: Precision) -> dict[str, Any]:
        """Writes the file (`.onnx` or `.tflite`) and its certificate, and returns the certificate."""
        certificate_path(path).unlink(missing_ok=True)  # never leave an old certificate next to a new file
        choice, calibration = FloatChoice(), []
        if precision is Precision.INT8:
            calibration = self._calibration
            images = self._prepare(calibration)
            self._conversion.write(path, precision=precision, calibration=images)
            if self.budget.mixed:
                choice = self._hold_budget(path, images)
        elif precision is Precision.FP16:
            layers = self._conversion.write_fp16(
                path, lambda file: not verdict(self._compare(_opened(file)), precision)
            )
            choice = FloatChoice(layers=tuple(layers))
        else:
            self._conversion.write(path, precision=precision)
        certificate = self.certify(path, precision=precision, choice=choice, calibration=calibration)
        write_certificate(path, certificate)
        return certificate

    def export_dynamic(self, path: Path, *, precision: Precision) -> None:
        """Writes an ONNX file that takes any batch size and any image size that divides by the network's stride."""
        images = self._prepare(self._calibration) if precision is Precision.INT8 else None
        network, spec = self._conversion.model, self.pictures.spec
        export_onnx(network, spec, path, precision=precision, calibration=images, shape=OnnxShape.DYNAMIC)

    def certify_like(self, path: Path, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Certifies a variant of a file, made alongside or from it, and returns the variant's certificate.

        Precision, calibration and float layers are copied from `plain`, the certificate of the original file.
        """
        certificate = self.certify(path, precision=Precision(plain["precision"]))
        certificate |= {name: plain[name] for name in ("calibration_images", "float_layers", "float_latency_ratio")}
        write_certificate(path, certificate)
        return certificate

    def pack(self, source: Path, path: Path) -> dict[str, Any]:
        """Packs a certified ONNX file; writes the packed file's own certificate and returns it."""
        from tf_bridge.packing.pack import pack_onnx

        summary, recorded = pack_onnx(source, path), read_certificate(source)
        certificate = self.certify(path, precision=Precision(recorded["precision"]))
        certificate |= {name: recorded[name] for name in ("calibration_images", "float_layers")}
        certificate["packed_from"] = {"file": source.name, "sha256": recorded["sha256"]}
        certificate["times_smaller"] = summary.times_smaller
        write_certificate(path, certificate)
        return certificate

    def certify(
        self,
        path: Path,
        *,
        precision: Precision,
        choice: FloatChoice | None = None,
        calibration: Sequence[Sample] = (),
        foreign: ForeignFile | None = None,
    ) -> dict[str, Any]:
        """Compares a file with the checkpoint on validation images, in the file's default runtime.

        The file runs in this process, as suits one that this process wrote, or in that of `foreign`.
        """
        candidate, choice = foreign or _opened(path), choice or FloatChoice()
        read = foreign.reader if foreign else LocalFile
        images, masks = self._compared_on
        parity = self._compare(candidate, takes_pictures=is_end_to_end(path))
        evidence = Evidence(
            checkpoint_sha256=sha256_of(self.checkpoint / "model.safetensors"),
            image_names=self.image_names,
            images_sha256=hash_images(images, masks),
            runtimes={"file": asdict(candidate.describe()), "network": asdict(self._reference.describe())},
            calibration_names=[each.name for each in calibration],
            float_layers=choice.layers,
            float_latency_ratio=choice.latency_ratio,
        )
        return make_certificate(
            path,
            self.pictures.spec,
            parity,
            evidence,
            precision=precision,
            max_drop=self.budget.drop,
            max_class_drop=self.budget.class_drop,
            first_difference=self._first_divergent_layer(path, parity, precision, read),
            proof=self._prove(path, parity, precision, read),
        )

    def stored_dtypes(self, stored: Sequence[StoredWeight]) -> dict[str, str]:
        """The dtype of the weights of each layer, of the weights in a file of this network."""
        return stored_dtypes(self._conversion.layers, stored)

    @property
    def image_names(self) -> list[str]:
        """Names of the images that files are compared on."""
        return [each.name for each in self._samples]

    def parity_on(self, name: str, path: Path, candidate: ForeignFile) -> Parity:
        """Compares the file at `path`, which `candidate` has open, on the image of this name alone."""
        return self._compare(candidate, takes_pictures=is_end_to_end(path), at=[self.image_names.index(name)])

    def _prove(self, path: Path, parity: Parity, precision: Precision, read: ReadFile) -> Proof:
        """Holds the file's layers against the network's, on the image that agrees least and a few others."""
        images, _ = self._compared_on
        shown = [(images[[at]], self._pictures[[at]]) for at in proven_on(parity.worst_image, len(images))]
        return self._conversion.prove(
            path,
            [(image, to_pixels(picture) if is_end_to_end(path) else image) for image, picture in shown],
            precision=precision,
            calibration=self._prepare(self._calibration) if precision is Precision.INT8 else None,
            read=read,
        )

    def _first_divergent_layer(
        self, path: Path, parity: Parity, precision: Precision, read: ReadFile
    ) -> FirstDifference | None:
        """The first divergent layer of a file that fails, on the image that agrees least; None if it passes."""
        if not verdict(parity, precision, max_drop=self.budget.drop, max_class_drop=self.budget.class_drop):
            return None
        at = [parity.worst_image]
        image, picture = self._compared_on[0][at], to_pixels(self._pictures[at]) if is_end_to_end(path) else None
        reader, program = read(path, None), self._conversion.program
        return first_divergent_layer(path, program, image, precision=precision, picture=picture, reader=reader)

    def _hold_budget(self, path: Path, images: Images) -> FloatChoice:
        """Replaces the int8 file at `path` with one that keeps some layers in float if the budget requires it."""

        def measure(candidate: Path) -> Parity:
            return self._compare(_opened(candidate))

        if self.budget.share_used(measure(path)) <= 1:
            return FloatChoice()
        mixed = self._conversion.mixed_precision(path.suffix, images)
        return choose_float_layers(mixed, path, measure, self.budget, image=images[:1])

    def _compare(
        self, candidate: Runtime | ForeignFile, *, takes_pictures: bool = False, at: Sequence[int] | None = None
    ) -> Parity:
        """Compares on all images, or on those of these indices."""
        images, masks = self._compared_on
        if at is not None:
            images, masks = images[[*at]], masks[[*at]]
        classes = self.pictures.spec.num_classes
        if not takes_pictures:
            return compare(self._remembered, candidate.predict, images, masks, num_classes=classes)

        def labels(pictures: Images) -> NDArray[np.uint8]:
            return labels_of(candidate.predict(pictures))

        pictures = self._pictures if at is None else self._pictures[[*at]]
        return compare(self._remembered, labels, images, masks, num_classes=classes, pictures=pictures)

    @cached_property
    def _conversion(self) -> Conversion:
        network, card = load_checkpoint(self.checkpoint)
        fold_branches(network)  # certificates still compare with the unmerged checkpoint
        return Conversion(network, card.spec)

    @cached_property
    def _reference(self) -> Runtime:
        return open_runtime(self.checkpoint)

    @cached_property
    def _remembered(self) -> Predict:
        return _remember(self._reference.predict)

    @cached_property
    def _samples(self) -> list[Sample]:
        validation = self.pictures.validation
        return [validation[index] for index in range(min(self.budget.pictures, len(validation)))]

    @cached_property
    def _compared_on(self) -> tuple[Images, NDArray[np.uint8]]:
        return self._prepare(self._samples), np.stack([each.mask for each in self._samples])

    @property
    def _pictures(self) -> Images:
        """The images before normalisation, float32 `(B, C, H, W)`, 0 to 255: for end-to-end files."""
        return end_to_end_spec(self.pictures.spec).prepare(np.stack([each.picture for each in self._samples]))

    @property
    def calibrated_with(self) -> list[Sample]:
        """The training images that calibrate int8 files."""
        return self._calibration

    @cached_property
    def _calibration(self) -> list[Sample]:
        return calibration_samples(self.pictures.train, self.pictures.spec)

    def _prepare(self, samples: Sequence[Sample]) -> Images:
        return self.pictures.spec.prepare(np.stack([each.picture for each in samples]))  # (B, C, H, W)


def _opened(path: Path) -> Runtime:
    """The file in its default runtime, without what LiteRT's compiled code says about delegates."""
    with quiet():
        return open_runtime(path)


def _remember(predict: Predict) -> Predict:
    """Caches logits by image content, so that the reference network runs once for all files."""
    answers: dict[bytes, Images] = {}

    def remembered(images: Images) -> Images:
        key = hashlib.sha256(images.tobytes()).digest()
        if key not in answers:
            answers[key] = predict(images)
        return answers[key]

    return remembered
