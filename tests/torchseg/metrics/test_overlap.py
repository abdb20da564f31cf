from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from torchseg.metrics import confusion_matrix, overlap

matrices = st.integers(2, 6).flatmap(lambda k: arrays(np.int64, (k, k), elements=st.integers(0, 50)))


@settings(deadline=None)
@given(matrices)
def test_dice_is_twice_iou_over_one_plus_iou(counts):
    scores = overlap(counts)
    np.testing.assert_allclose(scores.dice, 2 * scores.iou / (1 + scores.iou), rtol=1e-12)


@settings(deadline=None)
@given(matrices)
def test_every_score_is_a_share_and_absent_classes_are_left_out(counts):
    scores = overlap(counts)
    occurs = counts.sum(axis=1) > 0
    for values in (scores.iou, scores.dice, scores.recall):
        assert np.isnan(values[~occurs]).all()
        assert np.all((values[occurs] >= 0) & (values[occurs] <= 1))
    assert np.isnan(scores.precision[~occurs]).all()
    if occurs.any():
        assert scores.miou == pytest.approx(scores.iou[occurs].mean())
        assert 0 <= scores.miou <= scores.mean_dice <= 1


@pytest.mark.parametrize("seed", range(100))
def test_iou_is_that_of_torchmetrics(seed):
    from torchmetrics.functional.classification import multiclass_jaccard_index

    random = np.random.default_rng(seed)
    classes = 2 + seed % 5
    mask = random.choice(random.choice(classes, random.integers(1, classes + 1), replace=False), 200)
    mask[random.random(200) < 0.2] = 255
    labels = random.integers(0, classes, 200)
    expected = multiclass_jaccard_index(
        torch.from_numpy(labels), torch.from_numpy(mask), classes, average="none", ignore_index=255
    ).numpy()
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (mask[mask != 255], labels[mask != 255]), 1)
    scores = overlap(counts)
    occurs = counts.sum(axis=1) > 0
    np.testing.assert_array_equal(scores.iou[occurs].astype(np.float32), expected[occurs])


def random_counts(seed: int) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Labels and mask of two pictures with ignored pixels and all three classes, and their matrix."""
    random = np.random.default_rng(seed)
    mask = random.choice(np.array([0, 1, 2, 255]), (2, 9, 7))
    labels = np.where(random.random(mask.shape) < 0.5, np.minimum(mask, 2), random.integers(0, 3, mask.shape))
    counts = sum(confusion_matrix(a, b, num_classes=3) for a, b in zip(labels, mask, strict=True))
    return torch.from_numpy(labels), torch.from_numpy(mask), np.asarray(counts)


@pytest.mark.parametrize("seed", range(20))
def test_dice_precision_and_recall_are_those_of_torchmetrics(seed):
    from torchmetrics.functional import classification

    labels, mask, counts = random_counts(seed)
    scores = overlap(counts)
    for ours, theirs in (("dice", "f1_score"), ("precision", "precision"), ("recall", "recall")):
        measure = getattr(classification, f"multiclass_{theirs}")
        expected = measure(labels, mask, 3, average="none", ignore_index=255)
        np.testing.assert_allclose(getattr(scores, ours), expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_segmentation_models_pytorch(seed):
    from segmentation_models_pytorch import metrics

    labels, mask, counts = random_counts(seed)
    known = mask != 255  # it cannot leave out pixels of a multi-class mask by a value above the classes
    stats = metrics.get_stats(labels[known][None], mask[known][None], mode="multiclass", num_classes=3)
    scores = overlap(counts)
    names = {"iou": "iou_score", "dice": "f1_score", "precision": "precision", "recall": "recall"}
    for ours, theirs in names.items():
        expected = getattr(metrics, theirs)(*stats, reduction="none")[0]
        np.testing.assert_allclose(getattr(scores, ours), expected.numpy(), rtol=1e-6)


def test_a_perfect_prediction_scores_one_and_nothing_known_scores_nothing():
    perfect = overlap(np.diag([5, 0, 7]))
    assert (perfect.miou, perfect.mean_dice, perfect.pixel_accuracy) == (1, 1, 1)
    assert np.isnan(perfect.iou[1])
    nothing = overlap(np.zeros((3, 3), np.int64))
    assert np.isnan([nothing.miou, nothing.pixel_accuracy, nothing.mean_precision]).all()


def test_a_class_that_was_never_predicted_has_no_precision_and_counts_as_zero_in_the_mean():
    scores = overlap(np.array([[4, 0], [4, 0]]))
    assert np.isnan(scores.precision[1])
    assert scores.mean_precision == 0.25
