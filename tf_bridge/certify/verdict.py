"""Whether a file passes its certificate: the thresholds of every precision, and what a comparison misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tf_bridge.certify.parity import Parity
from torchseg.modelfile.certificate import TOO_FEW
from torchseg.modelfile.precision import Precision
from torchseg.plural import counted

MIN_IMAGES = 20  # below this, a drop of mean IoU is too uncertain to be stated
MAX_DROP = 0.02  # allowed drop of mean IoU, as a share, for dynamic and int8

# Conditions for a file to pass. `max_error_share` is relative to the range of the reference's logits.
THRESHOLDS: Mapping[Precision, Mapping[str, float]] = {
    Precision.FP32: {"min_argmax_agreement": 0.9995, "max_error_share": 1e-3},
    Precision.FP16: {"min_argmax_agreement": 0.999},
    Precision.DYNAMIC: {"max_miou_drop": MAX_DROP},
    Precision.INT8: {"max_miou_drop": MAX_DROP},
}


def verdict(
    parity: Parity, precision: Precision, *, max_drop: float = MAX_DROP, max_class_drop: float | None = None
) -> list[str]:
    """The checks that fail at this precision, one sentence each; empty if the file passes.

    Args:
        parity: from `compare`.
        precision: of the file.
        max_drop: largest allowed drop of mean IoU, as a share; applies to dynamic and int8 files.
        max_class_drop: largest allowed drop of the IoU of any class, as a share; applies to dynamic and int8 files.
    """
    limits = thresholds(precision, max_drop=max_drop, max_class_drop=max_class_drop)
    failures = []
    # Written as "not within", so that a NaN fails.
    agreement = limits.get("min_argmax_agreement", 0.0)
    if not parity.argmax_agreement >= agreement:
        failures.append(f"argmax agreement is {parity.argmax_agreement:.6f}; expected at least {agreement}")
    if "max_error_share" in limits and parity.max_abs_error is not None:
        largest = limits["max_error_share"] * parity.logit_range
        if not parity.max_abs_error <= largest:
            failures.append(f"largest logit error is {parity.max_abs_error:.3g}; expected at most {largest:.3g}")
    if "max_miou_drop" in limits and all(each is None for each in parity.iou_difference):
        failures.append("no pixel of the masks is known, so mean IoU says nothing; compare on images with masks")
    if "max_miou_drop" in limits and not parity.miou_drop <= limits["max_miou_drop"]:
        failures.append(f"mean IoU drops by {parity.miou_drop:.4f}; expected at most {limits['max_miou_drop']}")
    if "max_class_drop" in limits and not parity.worst_class_drop <= limits["max_class_drop"]:
        failures.append(
            f"IoU of one class drops by {parity.worst_class_drop:.4f}; expected at most {limits['max_class_drop']}"
        )
    if parity.max_abs_error is not None and not np.isfinite(parity.max_abs_error):
        failures.append("some logits are not finite; expected numbers everywhere")
    return failures


def accuracy_statement(parity: Parity, precision: Precision) -> str:
    """What the comparison says of the accuracy of a dynamic or int8 file, in words; empty for other precisions.

    Whether the file computes what its network computes is judged on any number of images; how much mean IoU it loses
    cannot be said from a few.
    """
    if "max_miou_drop" not in THRESHOLDS[precision]:
        return ""
    return interval_statement(parity.images, parity.miou_drop_interval)


def interval_statement(images: int, interval: Sequence[float] | None) -> str:
    """What a drop of mean IoU between two shares, over a number of images, is in words."""
    if images < MIN_IMAGES or interval is None:
        return f"{TOO_FEW}: {counted(images, 'image')}; the loss of mean IoU needs at least {MIN_IMAGES}"
    low, high = (100 * end for end in interval)
    return f"mean IoU drops by {low:+.2f} to {high:+.2f} points (95 % interval over {images} images)"


def thresholds(
    precision: Precision, *, max_drop: float = MAX_DROP, max_class_drop: float | None = None
) -> dict[str, float]:
    """The limits that `verdict` applies at this precision, by name."""
    limits = dict(THRESHOLDS[precision])
    if "max_miou_drop" not in limits:
        return limits
    floor = {} if max_class_drop is None else {"max_class_drop": max_class_drop}
    return limits | {"max_miou_drop": max_drop} | floor
