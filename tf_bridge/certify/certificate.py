"""The proof beside an exported file: what it is, what it was compared on, and whether it passed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.first_difference import FirstDifference
from tf_bridge.certify.parity import MAX_DROP, Parity, thresholds, verdict
from torchseg.atomic_file import partial_file
from torchseg.modelfile.describe import describe_file
from torchseg.modelfile.metadata import METADATA_PREFIX, SCALE
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec

CERTIFICATE_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a comparison was made with, as plain values."""

    checkpoint_sha256: str  # of the weights that the file was exported from
    image_names: Sequence[str]  # in the order in which they were compared
    images_sha256: str  # from `hash_images`
    runtimes: Mapping[str, Any]  # name, version and threads of what ran the file and of what ran the network
    calibration_names: Sequence[str] = field(default=())  # of training images, for int8
    float_layers: Sequence[str] = field(default=())  # for the sake of accuracy, in an int8 or fp16 file
    float_latency_ratio: float | None = None  # time of the file over that of one with every layer in int8


def hash_images(images: NDArray[np.float32], masks: NDArray[np.uint8]) -> str:
    """SHA-256, in hex, of prepared images `(B, C, H, W)` and masks `(B, H, W)`, shapes included."""
    digest = hashlib.sha256(f"{images.shape} {masks.shape}".encode())
    for array in (images, masks):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def make_certificate(
    path: Path,
    spec: ImageSpec,
    parity: Parity,
    evidence: Evidence,
    *,
    precision: Precision,
    max_drop: float = MAX_DROP,
    max_class_drop: float | None = None,
    first_difference: FirstDifference | None = None,
) -> dict[str, Any]:
    """Describes the file and judges the comparison; the same arguments give the same certificate.

    Args:
        path: of the exported file.
        spec: the pictures that the network was made for.
        parity: from `compare`.
        evidence: what the comparison was made with.
        precision: of the file.
        max_drop: mean IoU that may be lost, as a share, at the precisions that are judged by it.
        max_class_drop: IoU that any one class may lose, likewise.
        first_difference: where a file that fails begins to differ, if that is known.

    Returns:
        Plain values for JSON. `verdict.passed` says whether every check held, `verdict.failures` which did not.

    Raises:
        ValueError: if the file is damaged, or the comparison and the evidence do not belong together.
    """
    if not 0 <= parity.worst_image < len(evidence.image_names) or len(parity.iou_difference) != spec.num_classes:
        raise ValueError(
            f"the comparison is of {len(parity.iou_difference)} classes and reaches image {parity.worst_image}; "
            f"expected {spec.num_classes} classes and {len(evidence.image_names)} images: name every image compared"
        )
    described = describe_file(path)
    formula = described["metadata"].get(f"{METADATA_PREFIX}scale", SCALE)
    failures = verdict(parity, precision, max_drop=max_drop, max_class_drop=max_class_drop)
    failures += [str(first_difference)] if failures and first_difference else []
    content = path.read_bytes()
    return {
        "version": CERTIFICATE_VERSION,
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "checkpoint_sha256": evidence.checkpoint_sha256,
        "format": described["format"],
        "precision": str(precision),
        "layout": described["layout"],
        "inputs": described["inputs"],
        "outputs": described["outputs"],
        "preprocessing": {"colour_order": "RGB", "formula": formula, **spec.to_dict()},
        "images": {"names": list(evidence.image_names), "sha256": evidence.images_sha256},
        "calibration_images": list(evidence.calibration_names),
        "float_layers": list(evidence.float_layers),
        "float_latency_ratio": evidence.float_latency_ratio,
        "differences": _differences(parity, spec, evidence),
        "thresholds": thresholds(precision, max_drop=max_drop, max_class_drop=max_class_drop),
        "first_difference": _finite(asdict(first_difference)) if first_difference else None,
        "verdict": {"passed": not failures, "failures": failures},
        "runtimes": dict(evidence.runtimes),
    }


def write_certificate(path: Path, certificate: Mapping[str, Any]) -> Path:
    """Writes `FILE.json` beside the model file at `path`; gives the certificate's path."""
    target = certificate_path(path)
    with partial_file(target) as partial:
        partial.write_text(json.dumps(certificate, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return target


def read_certificate(path: Path) -> dict[str, Any]:
    """Reads the certificate of the model file at `path`.

    Raises:
        ValueError: if there is none, or it is damaged or of another version.
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


def certificate_path(path: Path) -> Path:
    """Where the certificate of the model file at `path` lies."""
    return path.with_name(f"{path.name}.json")


def _differences(parity: Parity, spec: ImageSpec, evidence: Evidence) -> dict[str, Any]:
    values = asdict(parity)
    values["iou_difference"] = dict(zip(spec.classes, parity.iou_difference, strict=True))
    values["worst_image"] = evidence.image_names[parity.worst_image]
    return _finite(values)


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN; the verdict says in words that a file gave one."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()
    }
