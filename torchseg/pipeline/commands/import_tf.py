"""The import_tf command: converts a TensorFlow model to ONNX, certifies the file, and stores both in a run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.certificate import Evidence, hash_images, make_certificate, write_certificate
from tf_bridge.certify.parity import Predict, compare
from tf_bridge.from_tensorflow.process import ImportResult, import_apart
from tf_bridge.from_tensorflow.source import TFLITE, source_kind
from torchseg.cli.command import CHECK_FAILED, DONE, other_command
from torchseg.config import ImportConfig
from torchseg.config.child_limits import within_limits
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.pipeline.export.budget import CERTIFIED_WITH
from torchseg.pipeline.run.class_names import checked_class_names
from torchseg.pipeline.run.dataset import Pictures, open_pictures
from torchseg.pipeline.run.folder import RunFolder
from torchseg.pipeline.run.imported import FOLDER, Imported, sha256_of_model, write_imported
from torchseg.pipeline.run.lock import LOCK
from torchseg.pipeline.run.recorded_config import check_same_data
from torchseg.pipeline.run.session import CONFIG, write_record
from torchseg.pipeline.stages.export import ARTIFACTS
from torchseg.spec import ImageSpec

_PRECISIONS = {"float32 from float16": "fp16", "int8": "int8", "int8 (dynamic)": "dynamic"}  # by LiteRT's arithmetic


@dataclass(frozen=True, kw_only=True, eq=False)
class Proof:
    """The validation images that an import is certified with.

    Attributes:
        spec: size, normalisation and classes of the images that the network takes.
        names: of the images.
        images: normalised by the spec, float32 `(B, C, H, W)`.
        masks: true classes, uint8 `(B, H, W)`.
    """

    spec: ImageSpec
    names: Sequence[str]
    images: NDArray[np.float32]
    masks: NDArray[np.uint8]


@within_limits
def import_tf(config: ImportConfig) -> int:
    """Converts, certifies and stores the model; returns 1 if the certificate fails, otherwise 0.

    Raises:
        ValueError: if the model cannot be read, or does not fit the data or the run.
    """
    kind = source_kind(config.model)
    _check_run(config)
    pictures = open_pictures(config).scaled(config.mean_and_std)
    named = tuple(name.strip() for name in config.classes.split(",") if name.strip())
    classes = checked_class_names(named, pictures.spec)
    proof = proof_of(pictures, replace(pictures.spec, classes=classes))
    sha256 = sha256_of_model(config.model)
    with TemporaryDirectory() as work:
        made = import_apart(config.model, proof.spec, proof.images, Path(work), notes={"source_sha256": sha256})
        path = made.path.rename(made.path.with_name(f"{config.stage}.{made.precision}.onnx"))
        certificate = certify_import(path, config.model, proof, made)
        card = Imported(
            stage=config.stage,
            kind=kind,
            file=_original_name(config, kind, certificate),
            sha256=sha256,
            precision=str(made.precision),
            output=made.scores.meaning,
            spec=proof.spec,
        )
        with RunFolder(config.run).held():
            target = _file(config, path, certificate, card)
    return _outcome(target, certificate)


def proof_of(pictures: Pictures, spec: ImageSpec) -> Proof:
    """The first validation images, at most 64, normalised by this spec."""
    samples = [pictures.validation[index] for index in range(min(CERTIFIED_WITH, len(pictures.validation)))]
    return Proof(
        spec=spec,
        names=[each.name for each in samples],
        images=spec.prepare(np.stack([each.picture for each in samples])),
        masks=np.stack([each.mask for each in samples]),
    )


def certify_import(path: Path, source: Path, proof: Proof, made: ImportResult) -> dict[str, Any]:
    """Compares the ONNX file at `path` with the original; both run in other processes."""
    with RuntimeProcess(path) as candidate, _original(source, made) as (reference, described):
        candidate.load()
        parity = compare(reference, candidate.predict, proof.images, proof.masks, num_classes=proof.spec.num_classes)
        runtimes = {"file": asdict(candidate.describe()), "network": described}
    evidence = Evidence(
        checkpoint_sha256=sha256_of_model(source),
        image_names=proof.names,
        images_sha256=hash_images(proof.images, proof.masks),
        runtimes=runtimes,
    )
    certificate = make_certificate(path, proof.spec, parity, evidence, precision=made.precision)
    return certificate | {"source": {"kind": made.kind, "name": source.name}, "output": made.scores.meaning}


def certify_again(path: Path, source: Path, spec: ImageSpec, pictures: Pictures) -> dict[str, Any]:
    """Makes the certificate of an imported file again, from the original."""
    proof = proof_of(pictures, spec)
    with TemporaryDirectory() as work:
        return certify_import(path, source, proof, import_apart(source, spec, proof.images, Path(work), notes={}))


@contextmanager
def _original(source: Path, made: ImportResult) -> Iterator[tuple[Predict, dict[str, Any]]]:
    """Yields the original's predict function and a description of its runtime.

    If the import already computed the original's logits, the function returns those, in order.
    """
    if made.answers is not None:
        answers = iter(made.answers)
        yield lambda images: np.stack([next(answers) for _ in images]), {"name": "tensorflow", "version": made.version}
        return
    with RuntimeProcess(source) as process:
        process.load()
        yield lambda images: made.scores.of(process.predict(images)), asdict(process.describe())


def _check_run(config: ImportConfig) -> None:
    """Raises ValueError, before the conversion starts, for a run folder that cannot take the model."""
    run = config.run
    if (run / CONFIG).is_file():
        check_same_data(config, run)
    elif run.is_dir() and any(each.name != LOCK for each in run.iterdir()):
        raise ValueError(f"--out {run} has files that no run of this project wrote; give a new folder")
    if (run / config.stage / "card.json").is_file():
        raise ValueError(f"{run} has a network '{config.stage}' of its own; give the model another --name")


def _original_name(config: ImportConfig, kind: str, certificate: dict[str, Any]) -> str:
    """Path of the original, relative to the run folder; the name of a TFLite file states its precision."""
    if kind != TFLITE:
        return f"{FOLDER}/{config.stage}{config.model.suffix}"
    precision = _PRECISIONS.get(certificate["runtimes"]["network"]["arithmetic"], "fp32")
    return f"{FOLDER}/{config.stage}.{precision}.tflite"


def _file(config: ImportConfig, path: Path, certificate: dict[str, Any], card: Imported) -> Path:
    """Stores file, certificate, original and record in the run folder; returns the file's path there."""
    run = config.run
    if not (run / CONFIG).is_file():
        write_record(config, run)
    for folder in (ARTIFACTS, FOLDER):
        (run / folder).mkdir(exist_ok=True)
    failed = "" if certificate["verdict"]["passed"] else ".failed"
    target = run / ARTIFACTS / f"{path.stem}{failed}.onnx"
    shutil.move(path, target)
    write_certificate(target, certificate)
    original = run / card.file
    if config.model.is_dir():
        shutil.copytree(config.model, original, dirs_exist_ok=True)
    elif config.model.resolve() != original.resolve():
        shutil.copyfile(config.model, original)
    write_imported(card, run)
    return target


def _outcome(target: Path, certificate: dict[str, Any]) -> int:
    differences, failures = certificate["differences"], certificate["verdict"]["failures"]
    agreement = f"agrees with the original on {100 * differences['argmax_agreement']:.3f} % of pixels"
    print(f"{target}: {agreement}; " + ("; ".join(failures) or "certified"))
    print(f"  output   {certificate['output']}")
    pictures = certificate["preprocessing"]
    print(f"  pictures (picture / 255 - {pictures['mean']}) / {pictures['std']}: the model must have been trained so")
    print(f"  next     {other_command('score')} {target.parent.parent}")
    return CHECK_FAILED if failures else DONE
