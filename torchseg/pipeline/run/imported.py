"""Imported networks of a run: `imported/NAME.json` next to the original file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from torchseg.atomic_file import partial_file
from torchseg.checkpoint import sha256_of
from torchseg.checks import check_name
from torchseg.record import build, read_json
from torchseg.spec import ImageSpec

FOLDER = "imported"
CARD_VERSION = 1
_REMEDY = "import the model again"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What is known about an imported network.

    Attributes:
        stage: its name in tables and files.
        kind: `keras`, `saved_model` or `tflite`.
        file: path of the original, relative to the run folder.
        sha256: of the original.
        precision: of the original and of the ONNX file.
        output: what the network's output values are, e.g. logits or probabilities.
        spec: size, normalisation and classes of the images that it takes.
        version: of this record's format.
    """

    stage: str
    kind: str
    file: str
    sha256: str
    precision: str
    output: str
    spec: ImageSpec
    version: int = CARD_VERSION

    def __post_init__(self) -> None:
        check_name("stage", self.stage)
        for part in self.file.split("/"):
            check_name("file", part)


def write_imported(imported: Imported, run: Path) -> None:
    """Writes `imported/NAME.json`."""
    with partial_file(run / FOLDER / f"{imported.stage}.json") as partial:
        partial.write_text(
            json.dumps(asdict(imported) | {"spec": imported.spec.to_dict()}, indent=2) + "\n", encoding="utf-8"
        )


def read_imported(run: Path, stage: str) -> Imported | None:
    """The imported network of that name; None if there is none.

    Raises:
        ValueError: if its card is damaged.
    """
    path = run / FOLDER / f"{stage}.json"
    if not path.is_file():
        return None
    values = read_json(path, remedy=_REMEDY)
    if values.get("version", CARD_VERSION) != CARD_VERSION:
        raise ValueError(f"{path} has version {values['version']}; this release reads version {CARD_VERSION}")
    return build(Imported, values, path=path, remedy=_REMEDY)


def all_imported(run: Path) -> Iterator[Imported]:
    """Every imported network of a run, in order of name."""
    for path in sorted((run / FOLDER).glob("*.json")):
        imported = read_imported(run, path.stem)
        assert imported is not None
        yield imported


def sha256_of_model(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()} {sha256_of(file)}\n".encode())
    return digest.hexdigest()
