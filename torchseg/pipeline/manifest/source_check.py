"""Whether a model file is what its run wrote, and its certificate that of the network beside it."""

from __future__ import annotations

from pathlib import Path

from torchseg.modelfile.certificate import FEW_IMAGES
from torchseg.modelfile.model_file import ModelFile
from torchseg.pipeline.manifest.manifest import MANIFEST, read_manifest
from torchseg.pipeline.run.imported import read_imported, sha256_of_model
from torchseg.pipeline.run.recorded_config import run_of
from torchseg.record import RecordError

_WEIGHTS = "model.safetensors"


def model_problem(file: ModelFile) -> str:
    """Why the file should not be trusted, in words that follow its name; empty if nothing speaks against it.

    Its certificate is read, the network that it was made from is hashed, and so is the file, against the manifest of
    its run. A file outside a run, or of a run without a manifest, is judged by its certificate alone.
    """
    state = file.certificate_state
    if state not in ("", "holds", FEW_IMAGES):
        return f"its certificate {state}"
    try:
        run = run_of(file.path)
    except ValueError:
        return ""
    return _changed(run, file) or (_source_problem(run, file) if state else "")


def _changed(run: Path, file: ModelFile) -> str:
    path = file.path.resolve()
    name = (path / _WEIGHTS if path.is_dir() else path).relative_to(run).as_posix()
    try:
        recorded = read_manifest(run).hashes if (run / MANIFEST).is_file() else {}
    except RecordError as error:
        return str(error)
    if name not in recorded or file.sha256 == recorded[name]:
        return ""
    return f"it has changed since the run wrote it (its SHA-256 is not that in {MANIFEST})"


def _source_problem(run: Path, file: ModelFile) -> str:
    stage = file.path.name.split(".")[0]
    try:
        imported = read_imported(run, stage)
    except ValueError as error:
        return str(error)
    source = run / imported.file if imported else run / stage / _WEIGHTS
    certificate = file.certificate or {}
    if not source.exists() or sha256_of_model(source) == certificate.get("checkpoint_sha256"):
        return ""
    return f"{source} is no longer the network that it was made from"
