"""The verify command: makes certificates again and compares them with the stored ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tf_bridge.certify.verdict import MAX_DROP
from torchseg.checkpoint import read_card, sha256_of
from torchseg.cli import CHECK_FAILED, DONE
from torchseg.config import VerifyConfig
from torchseg.harness.runtimes.process import try_model_file
from torchseg.modelfile.certificate import read_certificate
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.commands.import_tf import certify_again
from torchseg.pipeline.export.budget import Budget
from torchseg.pipeline.export.exporter import NetworkExport
from torchseg.pipeline.run.dataset import Pictures, open_pictures
from torchseg.pipeline.run.imported import read_imported, sha256_of_model
from torchseg.pipeline.run.recorded_config import recorded_config, run_of


def verify(config: VerifyConfig) -> int:
    """Compares each file with its source network again; returns 1 if any certificate does not hold, otherwise 0."""
    failed = False
    for path in config.files:
        read_certificate(path)  # before the images: a file without one has nothing to verify
        pictures = open_pictures(recorded_config(run_of(path), root=config.root))
        problems = _problems(path, pictures)
        failed |= bool(problems)
        print(f"{path}: " + ("; ".join(problems) or "its certificate holds"))
    return CHECK_FAILED if failed else DONE


def _problems(path: Path, pictures: Pictures) -> list[str]:
    """What no longer matches the file's certificate; empty if all of it holds."""
    recorded = read_certificate(path)
    if sha256_of(path) != recorded["sha256"]:
        return ["the file has changed since it was certified (its SHA-256 differs); export it again"]
    run, stage = run_of(path), path.name.split(".")[0]
    imported = read_imported(run, stage)
    source = run / imported.file if imported else run / stage / "model.safetensors"
    if not source.exists() or sha256_of_model(source) != recorded["checkpoint_sha256"]:
        return [f"{source} is not the network that it was made from; make the file again"]
    if imported:
        fresh = certify_again(path, source, imported.spec, pictures)
    else:
        spec = read_card(run / stage).spec
        pictures = pictures.scaled((spec.mean, spec.std))
        try_model_file(path, spec)
        export = NetworkExport(run / stage, pictures, _budget(recorded))
        fresh = export.certify(path, precision=Precision(recorded["precision"]))
    problems = list(fresh["verdict"]["failures"])
    if fresh["images"] != recorded["images"]:
        problems.append("the validation images are not those of the certificate")
    return problems


def _budget(recorded: dict[str, Any]) -> Budget:
    """The accuracy budget in the certificate, and the number of images that it was checked on."""
    limits = recorded["thresholds"]
    return Budget(
        drop=limits.get("max_miou_drop", MAX_DROP),
        class_drop=limits.get("max_class_drop"),
        pictures=recorded["images"]["count"],
    )
