from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchseg.metrics import confusion_matrices, confusion_matrix


def random_case(seed: int, *, classes: int, ignored: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Labels and mask of one to three small pictures; some classes never occur, some pixels are ignored."""
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 9, 3))
    occurring = random.choice(classes, random.integers(1, classes + 1), replace=False)
    mask = random.choice(occurring, shape).astype(np.uint8)
    if ignored:
        mask[random.random(shape) < 0.3] = 255
    return random.integers(0, classes, shape).astype(np.uint8), mask


@pytest.mark.parametrize("seed", range(100))
def test_the_matrix_is_that_of_torchmetrics(seed):
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    classes = 2 + seed % 6
    labels, mask = random_case(seed, classes=classes)
    expected = multiclass_confusion_matrix(
        torch.from_numpy(labels), torch.from_numpy(mask).long(), classes, ignore_index=255
    )
    np.testing.assert_array_equal(confusion_matrix(labels, mask, num_classes=classes), expected.numpy())


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 20))
def test_matrices_of_parts_add_up_to_the_matrix_of_the_whole(seed, classes):
    labels, mask = random_case(seed, classes=classes)
    parts = [confusion_matrix(a, b, num_classes=classes) for a, b in zip(labels, mask, strict=True)]
    np.testing.assert_array_equal(parts, confusion_matrices(labels, mask, num_classes=classes))
    np.testing.assert_array_equal(sum(parts), confusion_matrix(labels, mask, num_classes=classes))


def test_ignored_pixels_count_nowhere_whatever_was_predicted_there():
    mask = np.full((2, 2), 255, np.uint8)
    assert confusion_matrix(np.full((2, 2), 200, np.uint8), mask, num_classes=3).sum() == 0


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"labels are \(2, 2\) and the mask is \(2, 3\)"):
        confusion_matrix(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), num_classes=2)


def test_a_class_that_the_data_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"predicted class is outside \[0, 2\)"):
        confusion_matrix(np.full((2, 2), 2, np.uint8), np.zeros((2, 2), np.uint8), num_classes=2)
