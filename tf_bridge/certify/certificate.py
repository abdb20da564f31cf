"""The certificate of an exported file: what the file is, what it was compared on, and whether it passed."""

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

from tf_bridge.certify.description import description_problems
from tf_bridge.certify.first_difference import FirstDifference
from tf_bridge.certify.parity import Parity
from tf_bridge.certify.proof import Proof
from tf_bridge.certify.verdict import MAX_DROP, accuracy_statement, thresholds, verdict
from torchseg.atomic_file import partial_file
from torchseg.modelfile.certificate import CERTIFICATE_VERSION, certificate_path, counted_names
from torchseg.modelfile.metadata import METADATA_PREFIX, SCALE
from torchseg.modelfile.model_file import complete_file
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The conditions of a comparison, as plain values."""

    checkpoint_sha256: str  # of the weights that the file was exported from
    image_names: Sequence[str]  # in the order of the comparison
    images_sha256: str  # from `hash_images`
    runtimes: Mapping[str, Any]  # name, version and threads of the runtimes of the file and of the network
    calibration_names: Sequence[str] = field(default=())  # of the training images that calibrated int8
    float_layers: Sequence[str] = field(default=())  # kept in float for accuracy, in an int8 or fp16 file
    float_latency_ratio: float | None = None  # latency of the file over that of full int8


def hash_images(images: NDArray[np.float32], masks: NDArray[np.uint8]) -> str:
    """SHA-256, in hex, of prepared images `(B, C, H, W)` and masks `(B, H, W)`, including their shapes."""
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
    proof: Proof | None = None,
) -> dict[str, Any]:
    """Describes a file and states whether it passes; the same arguments give the same certificate.

    Args:
        path: of the exported file.
        spec: size, normalisation and classes of the network's images.
        parity: from `compare`.
        evidence: the conditions of the comparison.
        precision: of the file.
        max_drop: largest allowed drop of mean IoU, as a share; applies to dynamic and int8 files.
        max_class_drop: largest allowed drop of the IoU of any class, as a share; applies to dynamic and int8 files.
        first_difference: first divergent layer of a file that fails, if known.
        proof: that the layers hold the network's weights and arithmetic; None for a network that is not PyTorch's.

    Returns:
        Plain values for JSON. `verdict.passed` says whether every check passed; `verdict.failures` lists those that
        did not; `verdict.beyond_standard` lists those that the standard limits would add, if the file was judged by
        others; `verdict.accuracy` says in words what is known of the loss of mean IoU.

    Raises:
        ValueError: if the file is damaged, or if the comparison and the evidence do not match.
    """
    if not 0 <= parity.worst_image < len(evidence.image_names) or len(parity.iou_difference) != spec.num_classes:
        raise ValueError(
            f"the comparison is of {len(parity.iou_difference)} classes and reaches image {parity.worst_image}; "
            f"expected {spec.num_classes} classes and {len(evidence.image_names)} images: name every image compared"
        )
    file = complete_file(path)
    described = file.to_dict()
    formula = file.metadata.get(f"{METADATA_PREFIX}scale", SCALE)
    failures = verdict(parity, precision, max_drop=max_drop, max_class_drop=max_class_drop)
    standard = [each for each in verdict(parity, precision) if each not in failures]
    failures += [str(first_difference)] if failures and first_difference else []
    failures += [*proof.failures] if proof else []
    failures += description_problems(file, spec, precision)
    limits = thresholds(precision, max_drop=max_drop, max_class_drop=max_class_drop)
    return {
        "version": CERTIFICATE_VERSION,
        "file": path.name,
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
        "checkpoint_sha256": evidence.checkpoint_sha256,
        "precision": str(precision),
        **{name: described[name] for name in ("format", "layout", "inputs", "outputs")},
        "preprocessing": {"colour_order": "RGB", "formula": formula, **spec.to_dict()},
        "images": {**counted_names(evidence.image_names), "sha256": evidence.images_sha256},
        "calibration_images": counted_names(evidence.calibration_names),
        "float_layers": list(evidence.float_layers),
        "float_latency_ratio": evidence.float_latency_ratio,
        "differences": _differences(parity, spec, evidence),
        "thresholds": limits,
        "standard_limits": limits == thresholds(precision),
        "layers": proof.numbers if proof else None,
        "first_difference": _finite(asdict(first_difference)) if first_difference else None,
        "verdict": {
            "passed": not failures,
            "failures": failures,
            "beyond_standard": standard,
            "accuracy": accuracy_statement(parity, precision),
        },
        "runtimes": dict(evidence.runtimes),
    }


def write_certificate(path: Path, certificate: Mapping[str, Any]) -> Path:
    """Writes `FILE.json` next to the model file at `path` and returns the path of the certificate."""
    target = certificate_path(path)
    with partial_file(target) as partial:
        partial.write_text(json.dumps(certificate, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return target


def _differences(parity: Parity, spec: ImageSpec, evidence: Evidence) -> dict[str, Any]:
    values = asdict(parity)
    values["iou_difference"] = dict(zip(spec.classes, parity.iou_difference, strict=True))
    values["worst_image"] = evidence.image_names[parity.worst_image]
    return _finite(values)


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces values that are not finite by None, because JSON has no NaN; the verdict mentions them in words."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in values.items()
    }
