"""Where the certificate of a model file is, and what it holds; tf_bridge.certify makes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchseg.modelfile.precision import Precision
from torchseg.record import build, read_json

CERTIFICATE_VERSION = 3
# Version 1 lists the names of all images; versions 1 and 2 have no `layers`, `standard_limits` and words on accuracy.
_READABLE = (1, 2, CERTIFICATE_VERSION)
TOO_FEW = "too few to say"  # how a statement on accuracy begins that cannot be made
FEW_IMAGES = "few images"  # in a table, for a file that holds, but was judged on too few images for that statement


def certificate_path(path: Path) -> Path:
    """Path of the certificate that belongs to the model file at `path`."""
    return path.with_name(f"{path.name}.json")


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    passed: bool
    failures: tuple[str, ...] = ()
    beyond_standard: tuple[str, ...] = ()
    accuracy: str = ""


@dataclass(frozen=True, kw_only=True)
class _CountedNames:
    count: int
    names_sha256: str


@dataclass(frozen=True, kw_only=True)
class _Preprocessing:
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class ShownVerdict:
    """The verdict of a certificate as a report shows it; `passed` is None if there is none."""

    passed: bool | None = None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ShownCertificate:
    """What a report may rely on: each field has the right type if it is there at all."""

    verdict: ShownVerdict = field(default_factory=ShownVerdict)
    differences: Mapping[str, Any] = field(default_factory=dict)
    size_bytes: int = 0
    float_layers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CertificateFields:
    """What every reader of a certificate may rely on; `tf_bridge.certify.certificate` says what else it holds.

    The limits in `thresholds` are shares or, for logits, in their own unit; those that do not apply are missing.
    """

    version: int
    file: str
    sha256: str
    checkpoint_sha256: str
    precision: str
    preprocessing: _Preprocessing
    images: _CountedNames
    calibration_images: _CountedNames
    differences: Mapping[str, Any]
    thresholds: Mapping[str, float | None]
    verdict: _Verdict
    size_bytes: int = 0
    float_layers: tuple[str, ...] = ()
    float_latency_ratio: float | None = None

    def __post_init__(self) -> None:
        if self.precision not in tuple(Precision):
            raise ValueError(f"precision is {self.precision[:40]!r}, expected one of {', '.join(Precision)}")


def read_certificate(path: Path) -> dict[str, Any]:
    """Reads the certificate of the model file at `path`; one of version 1 is returned in the form of version 2.

    Raises:
        ValueError: if the certificate is missing, damaged or of another version.
    """
    source, remedy = certificate_path(path), f"export {path.name} again"
    if not source.is_file():
        raise ValueError(
            f"{path} has no certificate ({source.name}); {remedy}, or, if another tool made it, measure it with score"
        )
    certificate = read_json(source, remedy=remedy)
    version = certificate.get("version")
    if isinstance(version, int) and version not in _READABLE:
        raise ValueError(f"{source} has version {version}; this release reads versions 1 to {CERTIFICATE_VERSION}")
    current = _without_names(certificate)
    build(CertificateFields, current, path=source, remedy=remedy, others_allowed=True)
    return current


def counted_names(names: Sequence[str]) -> dict[str, Any]:
    """The number of images, and the SHA-256 of their names as a JSON list: the names alone would fill a page."""
    return {"count": len(names), "names_sha256": hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()}


def _without_names(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """The certificate with names of images counted and hashed, as version 2 and later write them."""
    current = {**certificate}
    if certificate.get("version") == 1:
        current["version"] = 2
    images = certificate.get("images")
    if isinstance(images, Mapping) and isinstance(images.get("names"), list):
        rest = {name: value for name, value in images.items() if name != "names"}
        current["images"] = {**counted_names(images["names"]), **rest}
    if isinstance(certificate.get("calibration_images"), list):
        current["calibration_images"] = counted_names(certificate["calibration_images"])
    return current
