"""The stages that write model files, each with the proof that it computes what its checkpoint computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tf_bridge.certificate import Evidence, hash_images, make_certificate, read_certificate, write_certificate
from tf_bridge.parity import compare
from tf_bridge.precision import Precision
from torchseg.checkpoint import load_checkpoint, sha256_of
from torchseg.data import Sample, Samples, resize
from torchseg.harness.runtime import open_runtime
from torchseg.models import fold_branches
from torchseg.pipeline.pictures import Pictures
from torchseg.pipeline.run_folder import RunFolder, Stage
from torchseg.spec import ImageSpec

CERTIFIED_WITH = 64  # validation pictures at most
CALIBRATED_WITH = 48  # training pictures at most
ARTIFACTS = "artifacts"
PACKED = ("fp32", "int8")  # precisions whose ONNX file can be packed


class CertificateError(Exception):
    """An exported file does not compute what its checkpoint computes."""


class Exporter:
    """Makes the export stages of a run.

    Args:
        pictures: of the run; certificates use the validation part, calibration the training part.
        folder: of the run.
    """

    def __init__(self, pictures: Pictures, folder: RunFolder) -> None:
        self.pictures, self.folder = pictures, folder

    def stage(self, network: str, kind: str, precision: str) -> Stage:
        """Exports the checkpoint of stage `network` to `artifacts/NETWORK.PRECISION.KIND`, with its certificate.

        Running it raises CertificateError if the file fails; file and certificate are then kept as
        `NETWORK.PRECISION.failed.KIND`.
        """
        name = f"{ARTIFACTS}/{network}.{precision}.{kind}"
        inputs = {"weights": self.folder.digest(network), "data": self.pictures.fingerprint, "version": 1}

        def run(work: Path) -> None:
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            checkpoint = self.folder.path / network
            certificate = export_certified(checkpoint, path, self.pictures, precision=Precision(precision))
            if not certificate["verdict"]["passed"]:
                raise _kept_aside(path, self.folder.path / ARTIFACTS, certificate)

        return Stage(name=name, inputs=inputs, outputs=[name, f"{name}.json"], run=run)

    def packed_stage(self, network: str, precision: str) -> Stage:
        """Packs `artifacts/NETWORK.PRECISION.onnx` into `NETWORK.PRECISION.packed.onnx`, with its own certificate.

        Running it raises CertificateError like `stage`.
        """
        source, name = f"{ARTIFACTS}/{network}.{precision}.onnx", f"{ARTIFACTS}/{network}.{precision}.packed.onnx"
        inputs = {"source": self.folder.digest(source), "version": 1}

        def run(work: Path) -> None:
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            checkpoint = self.folder.path / network
            certificate = pack_certified(self.folder.path / source, path, checkpoint, self.pictures)
            if not certificate["verdict"]["passed"]:
                raise _kept_aside(path, self.folder.path / ARTIFACTS, certificate)

        return Stage(name=name, inputs=inputs, outputs=[name, f"{name}.json"], run=run)


def export_certified(checkpoint: Path, path: Path, pictures: Pictures, *, precision: Precision) -> dict[str, Any]:
    """Exports a checkpoint to `path` (`.onnx` or `.tflite`), writes its certificate beside it and returns it."""
    network, card = load_checkpoint(checkpoint)
    fold_branches(network)  # the certificate still compares with the checkpoint, whose branches stay
    calibration = calibration_samples(pictures.train, pictures.spec) if precision is Precision.INT8 else []
    images = pictures.spec.prepare(np.stack([each.picture for each in calibration])) if calibration else None
    export = _exporter(path)
    export(network, card.spec, path, precision=precision, calibration=images)
    certificate = certify(path, checkpoint, pictures, precision=precision, calibration=calibration)
    write_certificate(path, certificate)
    return certificate


def pack_certified(source: Path, path: Path, checkpoint: Path, pictures: Pictures) -> dict[str, Any]:
    """Packs a certified file, writes a certificate of its own beside the result and returns it."""
    from tf_bridge.packed import pack_onnx

    summary = pack_onnx(source, path)
    recorded = read_certificate(source)
    certificate = certify(path, checkpoint, pictures, precision=Precision(recorded["precision"]))
    certificate |= {"calibration_images": recorded["calibration_images"], "times_smaller": summary.times_smaller}
    certificate |= {"packed_from": {"file": source.name, "sha256": recorded["sha256"]}}
    write_certificate(path, certificate)
    return certificate


def certify(
    path: Path, checkpoint: Path, pictures: Pictures, *, precision: Precision, calibration: Sequence[Sample] = ()
) -> dict[str, Any]:
    """Compares a file with its checkpoint on validation pictures, in the runtime that users will run it in."""
    spec = pictures.spec
    samples = [pictures.validation[index] for index in range(min(CERTIFIED_WITH, len(pictures.validation)))]
    images = spec.prepare(np.stack([each.picture for each in samples]))  # (B, C, H, W)
    masks = np.stack([each.mask for each in samples])  # (B, H, W)
    reference, candidate = open_runtime(checkpoint), open_runtime(path)
    parity = compare(reference.predict, candidate.predict, images, masks, num_classes=spec.num_classes)
    evidence = Evidence(
        checkpoint_sha256=sha256_of(checkpoint / "model.safetensors"),
        image_names=[each.name for each in samples],
        images_sha256=hash_images(images, masks),
        runtimes={"file": asdict(candidate.describe()), "network": asdict(reference.describe())},
        calibration_names=[each.name for each in calibration],
    )
    return make_certificate(path, spec, parity, evidence, precision=precision)


def calibration_samples(train: Samples, spec: ImageSpec) -> list[Sample]:
    """Training pictures at the spec's size: one for each class, rare ones first come, then the first ones there are."""
    chosen: dict[int, Sample] = {}
    missing = set(range(spec.num_classes))
    for index in range(len(train)):
        if len(chosen) >= CALIBRATED_WITH and not missing:
            break
        sample = resize(train[index], height=spec.height, width=spec.width)
        brings = missing & set(np.unique(sample.mask).tolist())
        if brings or len(chosen) < CALIBRATED_WITH:
            missing -= brings
            chosen[index] = sample
    return list(chosen.values())


def _exporter(path: Path) -> Callable[..., None]:
    """The bridge's function for this kind of file; TensorFlow is imported only for the kind that needs it."""
    if path.suffix == ".onnx":
        from tf_bridge.onnx_export import export_onnx

        return export_onnx
    from tf_bridge.tflite_export import export_tflite

    return export_tflite


def _kept_aside(path: Path, folder: Path, certificate: dict[str, Any]) -> CertificateError:
    """Moves a failed file and its certificate out of the way of users who take what lies under the final name."""
    folder.mkdir(exist_ok=True)
    aside = folder / f"{path.stem}.failed{path.suffix}"
    path.replace(aside)
    path.with_name(f"{path.name}.json").replace(aside.with_name(f"{aside.name}.json"))
    reasons = "; ".join(certificate["verdict"]["failures"])
    return CertificateError(f"{path.name} fails its certificate: {reasons}. It is kept as {aside}")
