"""Compares the predictions of an exported file with those of the PyTorch network; independent of files and runtimes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.metrics import confusion_matrix, overlap

Array = NDArray[Any]
Predict = Callable[[NDArray[np.float32]], Array]  # (B, C, H, W) images to (B, K, H, W) logits, or (B, H, W) classes

_BATCH = 4  # images at a time, which bounds memory


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Difference between a candidate and its reference over all images; signed values are `candidate - reference`."""

    max_abs_error: float | None  # of logits; None for a candidate that returns classes
    mean_abs_error: float | None  # of logits, over all pixels, classes and images; None for classes
    logit_range: float  # largest minus smallest logit of the reference
    argmax_agreement: float  # share of pixels with the same class, including ignored pixels
    iou_difference: tuple[float | None, ...]  # per class; None for a class that never occurs in the masks
    miou_drop: float  # mean IoU of the reference minus that of the candidate, over classes that occur
    worst_image: int  # index of the image with the least agreement; ties go to the larger error
    images: int = 1
    # 95 % interval of the drop of mean IoU, from leaving out one image at a time; None for one image, or if no class
    # occurs.
    miou_drop_interval: tuple[float, float] | None = None

    @property
    def worst_class_drop(self) -> float:
        """Largest drop of IoU of any class, as a share; 0 if no class loses any."""
        return max([0.0, *(-value for value in self.iou_difference if value is not None)])


def compare(
    reference: Predict,
    candidate: Predict,
    images: NDArray[np.float32],
    masks: NDArray[np.uint8],
    *,
    num_classes: int,
    pictures: NDArray[np.float32] | None = None,
) -> Parity:
    """Runs reference and candidate on the same images and compares their predictions.

    Args:
        reference: the network as trained; returns logits `(B, K, H, W)`.
        candidate: the exported file; returns logits `(B, K, H, W)`, or integer classes `(B, H, W)`.
        images: prepared for the network, `(B, C, H, W)`, B at least 1.
        masks: true classes, `(B, H, W)`; pixels with values of `num_classes` or more are ignored.
        num_classes: K.
        pictures: for an end-to-end candidate, its input instead of `images`: values from 0 to 255, same shape.

    Raises:
        ValueError: if images and masks do not match, or if a prediction has another shape than above.
    """
    if images.ndim != 4 or len(images) == 0 or masks.shape != (len(images), *images.shape[2:]):
        raise ValueError(
            f"images are {images.shape} and masks {masks.shape}; give (B, C, H, W) and (B, H, W) with B at least 1"
        )
    pairs = _Pairs(num_classes)
    for start in range(0, len(images), _BATCH):
        part = slice(start, start + _BATCH)
        expected = (len(images[part]), num_classes, *images.shape[2:])
        answer = _run(candidate, (images if pictures is None else pictures)[part], expected)
        pairs.add(_run(reference, images[part], expected), answer, masks[part])
    return pairs.summary()


class _Pairs:
    """Metric accumulator: sums over batches, and divides only once, at the end."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        # Axes of each: reference or candidate, true class, predicted class.
        self.confusions: list[NDArray[np.int64]] = []  # one per image
        self.total_error, self.values = 0.0, 0
        self.low, self.high = np.inf, -np.inf
        self.errors: list[float] = []  # largest error per image
        self.agreements: list[float] = []  # share of equal pixels per image

    def add(self, reference: Array, candidate: Array, masks: NDArray[np.uint8]) -> None:
        if candidate.ndim == 4:
            error = np.abs(candidate.astype(np.float64) - reference)  # (B, K, H, W)
            self.total_error += float(error.sum())
            self.values += error.size
            self.errors += error.max(axis=(1, 2, 3)).tolist()
        self.low, self.high = min(self.low, float(reference.min())), max(self.high, float(reference.max()))
        labels = [each if each.ndim == 3 else each.argmax(axis=1) for each in (reference, candidate)]  # (B, H, W) each
        self.agreements += (labels[0] == labels[1]).mean(axis=(1, 2)).tolist()
        for index, mask in enumerate(masks):
            counts = [confusion_matrix(each[[index]], mask[None], num_classes=self.num_classes) for each in labels]
            self.confusions.append(np.stack(counts))

    def summary(self) -> Parity:
        total = np.sum(self.confusions, axis=0)
        differences = _iou_differences(total)
        occurs = ~np.isnan(differences)
        errors = self.errors or [0.0] * len(self.agreements)
        order = sorted(range(len(errors)), key=lambda index: (self.agreements[index], -errors[index]))
        return Parity(
            max_abs_error=float(np.max(self.errors)) if self.errors else None,
            mean_abs_error=self.total_error / self.values if self.errors else None,
            logit_range=self.high - self.low,
            argmax_agreement=float(np.mean(self.agreements)),
            iou_difference=tuple(
                float(value) if there else None for value, there in zip(differences, occurs, strict=True)
            ),
            miou_drop=_drop(total) if occurs.any() else 0.0,
            worst_image=order[0],
            images=len(self.agreements),
            miou_drop_interval=_interval(total, self.confusions),
        )


def _iou_differences(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """IoU of the candidate minus that of the reference per class; NaN for a class that never occurs."""
    before, after = (overlap(counts).iou for counts in confusion)
    return np.asarray(after - before)


def _interval(total: NDArray[np.int64], confusions: Sequence[NDArray[np.int64]]) -> tuple[float, float] | None:
    """The 95 % interval of the drop of mean IoU by the jackknife: leave out one image at a time."""
    count = len(confusions)
    drops = [_drop(total - each) for each in confusions]
    if count < 2 or not np.isfinite([*drops, _drop(total)]).all():
        return None
    error = float(np.sqrt((count - 1) / count * np.square(np.asarray(drops) - np.mean(drops)).sum()))
    return _drop(total) - 1.96 * error, _drop(total) + 1.96 * error


def _drop(confusion: NDArray[np.int64]) -> float:
    differences = _iou_differences(confusion)
    occurs = ~np.isnan(differences)
    return 0.0 - float(differences[occurs].mean()) if occurs.any() else float("nan")


def _run(predict: Predict, images: NDArray[np.float32], expected: tuple[int, ...]) -> Array:
    answer = predict(images)
    are_classes = np.issubdtype(answer.dtype, np.integer) and answer.shape == (expected[0], *expected[2:])
    if answer.shape != expected and not are_classes:
        raise ValueError(f"a prediction has shape {answer.shape}; expected logits (B, K, H, W) = {expected}")
    if are_classes and answer.max() >= expected[1]:
        raise ValueError(f"a prediction holds class {answer.max()}; expected classes below {expected[1]}")
    return answer
