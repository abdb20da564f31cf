"""Where the certificate of a model file is, and what it holds; tf_bridge.certify makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CERTIFICATE_VERSION = 1


def certificate_path(path: Path) -> Path:
    """Path of the certificate that belongs to the model file at `path`."""
    return path.with_name(f"{path.name}.json")


def read_certificate(path: Path) -> dict[str, Any]:
    """Reads the certificate of the model file at `path`.

    Raises:
        ValueError: if the certificate is missing, damaged or of another version.
    """
    source = certificate_path(path)
    try:
        certificate = json.loads(source.read_text(encoding="utf-8"))
        version = certificate["version"]
    except FileNotFoundError as error:
        raise ValueError(f"{path} has no certificate ({source.name}); export it again") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{source} is damaged; export {path.name} again") from error
    if version != CERTIFICATE_VERSION:
        raise ValueError(f"{source} has version {version}; this release reads version {CERTIFICATE_VERSION}")
    return dict(certificate)
