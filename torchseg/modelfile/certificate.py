"""Where the certificate of a model file is, and what it holds; tf_bridge.certify makes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CERTIFICATE_VERSION = 3
# Version 1 lists the names of all images; versions 1 and 2 have no `layers`, `standard_limits` and words on accuracy.
_READABLE = (1, 2, CERTIFICATE_VERSION)
TOO_FEW = "too few to say"


def certificate_path(path: Path) -> Path:
    """Path of the certificate that belongs to the model file at `path`."""
    return path.with_name(f"{path.name}.json")


def read_certificate(path: Path) -> dict[str, Any]:
    """Reads the certificate of the model file at `path`; one of version 1 is returned in the form of version 2.

    Raises:
        ValueError: if the certificate is missing, damaged or of another version.
    """
    source = certificate_path(path)
    try:
        certificate = json.loads(source.read_text(encoding="utf-8"))
        version = certificate["version"]
        if version in _READABLE:
            return _without_names(certificate)
    except FileNotFoundError as error:
        raise ValueError(
            f"{path} has no certificate ({source.name}); export it again, or, if another tool made it, measure it with "
            "score"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{source} is damaged; export {path.name} again") from error
    raise ValueError(f"{source} has version {version}; this release reads versions 1 to {CERTIFICATE_VERSION}")


def counted_names(names: Sequence[str]) -> dict[str, Any]:
    """The number of images, and the SHA-256 of their names as a JSON list: the names alone would fill a page."""
    return {"count": len(names), "names_sha256": hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()}


def _without_names(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """The certificate with names of images counted and hashed, as version 2 and later write them."""
    current = {**certificate, "version": max(2, certificate["version"])}
    if "names" in current.get("images", {}):
        images = dict(current["images"])
        current["images"] = {**counted_names(images.pop("names")), **images}
    if isinstance(current.get("calibration_images"), list):
        current["calibration_images"] = counted_names(current["calibration_images"])
    return current
