"""The stages that write model files, each with the proof that it computes what its checkpoint computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tf_bridge.certify.certificate import certificate_path
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.export.exporter import NetworkExport
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import RunFolder, Stage

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
