"""The stages that write model files, each with the proof that it computes what its checkpoint computes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from pickle import PicklingError
from typing import Any

import torch

from tf_bridge.certify.certificate import certificate_path
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.export.exporter import NetworkExport
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import RunFolder, Stage

ARTIFACTS = "artifacts"
PACKED = ("fp32", "int8")  # precisions whose ONNX file can be packed

# In a second process: conversion keeps one core busy, and the others idle.

Files = Mapping[str, Sequence[tuple[str, str]]]
"""Pairs of format and precision for each network, by the name of its stage."""


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

    def stages(self, network: str, files: Iterable[tuple[str, str]], *, packed: bool = False) -> Iterator[Stage]:
        """One stage for each pair of format and precision; what they share lives until the last one is taken.

        Each exports the checkpoint of stage `network` to `artifacts/NETWORK.PRECISION.KIND`, with its certificate.
        Running one raises CertificateError if the file fails; file and certificate are then kept as
        `NETWORK.PRECISION.failed.KIND`.

        Args:
            network: name of its stage.
            files: pairs of format and precision.
            packed: also pack each fp32 and int8 ONNX file that passed, into `NETWORK.PRECISION.packed.onnx`.
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
        """The stage that writes a file, of whose earlier version nothing stays even if the new one fails."""

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
    """Moves a failed file and its certificate out of the way of users who take what lies under the final name."""
    folder.mkdir(exist_ok=True)
    aside = folder / f"{path.stem}.failed{path.suffix}"
    path.replace(aside)
    path.with_name(f"{path.name}.json").replace(aside.with_name(f"{aside.name}.json"))
    reasons = "; ".join(certificate["verdict"]["failures"])
    return CertificateError(f"{path.name} fails its certificate: {reasons}. It is kept as {aside}")


@contextmanager
def export_beside(exporter: Exporter, files: Files, *, cores: int) -> Iterator[Callable[[], set[str]]]:
    """Does these export stages in another process while the caller is busy with its own.

    It is only ahead of the caller, who does the same stages afterwards: those that went well are done by then, and
    what went wrong happens again where it is told.

    Args:
        exporter: of the run.
        files: to be made.
        cores: that may compute; with one there is nothing to gain.

    Yields:
        A function that waits for the other process, and gives the names of the stages that were left to it.
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
    ):  # pictures not all cached, of a reader that cannot be handed over
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
    torch.set_num_threads(1)
    for stage in _stages(exporter, files):
        with suppress(Exception):
            exporter.folder.do(stage)


def _stages(exporter: Exporter, files: Files) -> Iterator[Stage]:
    for network, chosen in files.items():
        yield from exporter.stages(network, chosen)
