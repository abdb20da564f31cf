from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchseg.metrics import precision_recall, score_counts
from torchseg.metrics.precision_recall import thresholds

CLASSES = 3


def random_case(seed: int, *, pictures: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Softmax of logits that lean towards the truth, and a mask with ignored pixels and at times absent classes."""
    random = np.random.default_rng(seed)
    mask = random.choice(np.array([*range(1 + seed % CLASSES), 255], np.uint8), (pictures, 12, 15))
    logits = random.normal(0, 2, (pictures, CLASSES, 12, 15))
    logits += 2 * (mask[:, None] == np.arange(CLASSES)[:, None, None])
    exponents = np.exp(logits)
    return (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32), mask


def known(probabilities: np.ndarray, mask: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = probabilities.transpose(0, 2, 3, 1)[mask != 255]
    return torch.from_numpy(pixels), torch.from_numpy(mask[mask != 255]).long()


@pytest.mark.parametrize("seed", range(12))
def test_average_precision_is_that_of_torchmetrics_with_every_threshold(seed):
    from torchmetrics.functional.classification import binary_average_precision

    probabilities, mask = random_case(seed, pictures=6)
    pixels, truth = known(probabilities, mask)
    curves = precision_recall(score_counts(probabilities, mask, num_classes=CLASSES))
    for index, curve in enumerate(curves):
        if index not in truth:
            assert np.isnan(curve.average_precision)
            continue
        expected = float(binary_average_precision(pixels[:, index], (truth == index).int()))
        assert curve.average_precision == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize("seed", range(12))
def test_every_point_of_the_curve_is_that_of_torchmetrics_at_the_same_threshold(seed):
    from torchmetrics.functional.classification import binary_precision_recall_curve

    probabilities, mask = random_case(seed)
    # Into the middle of the bins, where no rounding can move a pixel into the next one.
    edges = np.log(thresholds()[1:] / (1 - thresholds()[1:]))
    odds = np.clip(np.log(probabilities / (1 - probabilities)), edges[0], edges[-2])
    step = edges[1] - edges[0]
    middles = (np.floor((odds - edges[0]) / step) + 0.5) * step + edges[0]
    probabilities = (1 / (1 + np.exp(-middles))).astype(np.float32)
    pixels, truth = known(probabilities, mask)
    for index, curve in enumerate(precision_recall(score_counts(probabilities, mask, num_classes=CLASSES))):
        if index not in truth:
            continue
        levels = torch.from_numpy(curve.threshold[::-1].copy()).float()
        precision, recall, _ = binary_precision_recall_curve(pixels[:, index], (truth == index).int(), levels)
        np.testing.assert_allclose(curve.precision[::-1], precision[:-1], atol=1e-6)
        np.testing.assert_allclose(curve.recall[::-1], recall[:-1], atol=1e-6)


@given(st.integers(0, 2**31))
def test_counts_of_parts_add_up_and_hold_every_known_pixel_once(seed):
    probabilities, mask = random_case(seed)
    whole = score_counts(probabilities, mask, num_classes=CLASSES)
    parts = score_counts(probabilities[:1], mask[:1], num_classes=CLASSES) + score_counts(
        probabilities[1:], mask[1:], num_classes=CLASSES
    )
    np.testing.assert_array_equal(whole.inside, parts.inside)
    np.testing.assert_array_equal(whole.outside, parts.outside)
    assert (whole.inside.sum(axis=1) + whole.outside.sum(axis=1) == (mask != 255).sum()).all()


def test_a_network_that_is_sure_and_right_has_an_average_precision_of_one():
    mask = np.array([[[0, 1], [1, 2]]], np.uint8)
    sure = (mask[:, None] == np.arange(3)[:, None, None]).astype(np.float32)
    for curve in precision_recall(score_counts(sure, mask, num_classes=3)):
        assert curve.average_precision == 1
        assert curve.precision[0] == curve.recall[0] == 1


def test_a_class_that_never_occurs_has_no_curve_and_a_missing_output_finds_nothing():
    mask = np.array([[[0, 2]]], np.uint8)
    probabilities = np.full((1, 2, 1, 2), 0.5, np.float32)
    found, absent, missing = precision_recall(score_counts(probabilities, mask, num_classes=3))
    assert found.average_precision == 0.5
    assert np.isnan(absent.average_precision)
    assert not len(absent.recall)
    assert missing.average_precision == 0.5  # every pixel at probability 0: as good as saying yes everywhere


def test_sides_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"probabilities are \(1, 2, 3, 3\) and the mask is \(1, 3, 4\)"):
        score_counts(np.zeros((1, 2, 3, 3), np.float32), np.zeros((1, 3, 4), np.uint8), num_classes=2)
