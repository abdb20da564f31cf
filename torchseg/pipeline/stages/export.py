"""The stages that write model files, each with a certificate that it computes what its checkpoint computes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import PicklingError
from typing import Any

import torch

from torchseg.modelfile.certificate import certificate_path
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.export.exporter import NetworkExport
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.processes.group import end_with_parent

ARTIFACTS = "artifacts"
PACKED = ("fp32", "fp16", "int8")  # precisions whose ONNX files can be packed
DENSE = {"student": ("fp32", "int8"), "teacher": ("fp32",)}  # uncompressed files to compare the compressed ones with

Files = Mapping[str, Sequence[tuple[str, str]]]
"""Pairs of format and precision for each network, keyed by the name of its stage."""


class CertificateError(Exception):
    """An exported file does not compute what its checkpoint computes."""


class Exporter:
    """Makes the export stages of a run.

    Args:
        pictures: of the run; certificates use the validation split, calibration uses the training split.
        folder: of the run.
    """

    def __init__(self, pictures: Pictures, folder: RunFolder) -> None:
        self.pictures, self.folder = pictures, folder

    def stages(self, network: str, files: Iterable[tuple[str, str]], *, packed: bool = False) -> Iterator[Stage]:
        """One stage per pair of format and precision; they share the loaded network until the last one is taken.

        Each stage exports the checkpoint of stage `network` to `artifacts/NETWORK.PRECISION.FORMAT`, with a
        certificate. If the file fails its certificate, the stage raises CertificateError and keeps both as
        `NETWORK.PRECISION.failed.FORMAT`.

        Args:
            network: name of the stage that trained it.
            files: pairs of format and precision.
            packed: also pack each fp32, fp16 and int8 ONNX file that passed, into `NETWORK.PRECISION.packed.onnx`.
        """
        export = NetworkExport(self.folder.path / network, self.pictures)
        for kind, precision in files:
            name = f"{ARTIFACTS}/{network}.{precision}.{kind}"
            yield self._stage(export, name, Precision(precision))
            if packed and kind == "onnx" and precision in PACKED and (self.folder.path / name).is_file():
                yield self._packed_stage(export, name, f"{ARTIFACTS}/{network}.{precision}.packed.onnx")

    def _stage(self, export: NetworkExport, name: str, precision: Precision) -> Stage:
        digest = self.folder.digest(export.checkpoint.name)
        inputs = {"weights": digest, "data": self.pictures.fingerprint, "version": 3}

        return self._writing(name, inputs, lambda path: export.export(path, precision=precision))

    def _packed_stage(self, export: NetworkExport, source: str, name: str) -> Stage:
        inputs = {"source": self.folder.digest(source), "version": 1}

        return self._writing(name, inputs, lambda path: export.pack(self.folder.path / source, path))

    def _writing(self, name: str, inputs: Mapping[str, Any], write: Callable[[Path], dict[str, Any]]) -> Stage:
        """The stage that writes one file; it deletes the old version first, so that a failure leaves no stale file."""

        def run(work: Path) -> None:
            path, final = work / name, self.folder.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            for old in (certificate_path(final), final):
                old.unlink(missing_ok=True)
            certificate = write(path)
            if not certificate["verdict"]["passed"]:
                raise _kept_aside(path, final.parent, certificate)

        return Stage(name=name, inputs=inputs, outputs=[name, f"{name}.json"], run=run)


def _kept_aside(path: Path, folder: Path, certificate: dict[str, Any]) -> CertificateError:
    """Renames a failed file and its certificate, so that nobody uses the file by mistake; returns the error."""
    folder.mkdir(exist_ok=True)
    aside = folder / f"{path.stem}.failed{path.suffix}"
    path.replace(aside)
    path.with_name(f"{path.name}.json").replace(aside.with_name(f"{aside.name}.json"))
    reasons = "; ".join(certificate["verdict"]["failures"])
    return CertificateError(f"{path.name} fails its certificate: {reasons}. It is kept as {aside}")


@contextmanager
def export_beside(exporter: Exporter, files: Files, *, cores: int) -> Iterator[Callable[[], set[str]]]:
    """Runs these export stages in a second process while the caller does other work.

    Conversion keeps only one core busy, so this uses an idle one. The caller must still do the same stages afterwards:
    those that succeeded are found done, and those that failed run again in the caller, which reports the error.

    Args:
        exporter: of the run.
        files: to export.
        cores: number of cores that may compute; with 1, no process is started.

    Yields:
        A function that waits for the process to end and returns the names of the stages that it was given.
    """
    left = {stage.name for stage in _stages(exporter, files) if not exporter.folder.is_done(stage)}
    if cores < 2 or not left:
        yield set
        return
    process = multiprocessing.get_context("spawn").Process(target=_export, args=(exporter, files), daemon=True)
    try:
        process.start()
    except (
        PicklingError,
        AttributeError,
        TypeError,
    ):  # not all images are cached, and their reader cannot be pickled
        yield set
        return

    def wait() -> set[str]:
        process.join()
        return left

    try:
        yield wait
    finally:
        process.kill()
        process.join()


def _export(exporter: Exporter, files: Files) -> None:
    end_with_parent()
    torch.set_num_threads(1)
    for stage in _stages(exporter, files):
        with suppress(Exception):
            exporter.folder.do(stage)


def _stages(exporter: Exporter, files: Files) -> Iterator[Stage]:
    for network, chosen in files.items():
        yield from exporter.stages(network, chosen)
