import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_bridge.certify.parity import compare
from tf_bridge.certify.verdict import verdict
from torchseg.modelfile.precision import Precision

CLASSES = 3


def logits_of(labels: np.ndarray) -> np.ndarray:
    """One-hot logits `(B, K, H, W)` of labels `(B, H, W)`."""
    return np.eye(CLASSES, dtype=np.float32)[labels].transpose(0, 3, 1, 2)


def images_of(labels: np.ndarray) -> np.ndarray:
    """Images whose only channel holds the label, so that a prediction can be read off."""
    return labels[:, None].astype(np.float32)


def read_labels(images: np.ndarray) -> np.ndarray:
    return logits_of(images[:, 0].astype(int))


def some_labels(seed: int = 0, count: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CLASSES, (count, 5, 7)).astype(np.uint8)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 10))
def test_a_network_has_perfect_parity_with_itself(seed: int, count: int) -> None:
    labels = some_labels(seed, count)
    parity = compare(read_labels, read_labels, images_of(labels), labels, num_classes=CLASSES)
    assert parity.max_abs_error == parity.mean_abs_error == parity.miou_drop == 0
    assert parity.argmax_agreement == 1
    for precision in Precision:
        assert verdict(parity, precision) == []


def test_errors_are_measured_on_the_logits() -> None:
    labels = some_labels()
    parity = compare(
        read_labels, lambda images: read_labels(images) + 0.25, images_of(labels), labels, num_classes=CLASSES
    )
    assert (parity.max_abs_error, parity.mean_abs_error, parity.logit_range) == (0.25, 0.25, 1.0)
    assert parity.argmax_agreement == 1


def test_the_worst_image_is_the_one_that_disagrees_most() -> None:
    labels = some_labels()

    def candidate(images: np.ndarray) -> np.ndarray:
        labels = images[:, 0].astype(int)
        labels[images[:, 0].sum(axis=(1, 2)) == marked] = 0
        return logits_of(labels)

    marked = images_of(labels)[4, 0].sum()
    assert compare(read_labels, candidate, images_of(labels), labels, num_classes=CLASSES).worst_image == 4


def test_iou_differences_are_candidate_minus_reference() -> None:
    labels = np.array([[[0, 0, 1, 1]]], np.uint8)
    wrong = np.array([[[0, 0, 1, 0]]])
    parity = compare(read_labels, lambda _: logits_of(wrong), images_of(labels), labels, num_classes=CLASSES)
    assert parity.iou_difference[0] == pytest.approx(2 / 3 - 1)
    assert parity.iou_difference[1] == pytest.approx(1 / 2 - 1)
    assert parity.iou_difference[2] is None  # never occurs in the truth
    assert parity.miou_drop == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_ignored_pixels_do_not_enter_the_iou() -> None:
    labels = np.array([[[0, 0, 1, 1]]], np.uint8)
    wrong = np.array([[[0, 0, 1, 0]]])
    masks = np.array([[[0, 0, 1, 255]]], np.uint8)
    parity = compare(read_labels, lambda _: logits_of(wrong), images_of(labels), masks, num_classes=CLASSES)
    assert parity.miou_drop == 0
    assert parity.argmax_agreement == 0.75


@pytest.mark.parametrize(("precision", "passes"), [(Precision.FP32, True), (Precision.INT8, False)])
def test_masks_that_are_ignored_everywhere_prove_nothing_where_mean_iou_is_judged(
    precision: Precision, passes: bool
) -> None:
    labels = some_labels()
    masks = np.full_like(labels, 255)
    parity = compare(read_labels, read_labels, images_of(labels), masks, num_classes=CLASSES)
    assert parity.iou_difference == (None, None, None)
    assert parity.miou_drop == 0
    failures = verdict(parity, precision)
    assert (failures == []) == passes
    assert passes or "no pixel of the masks is known" in failures[0]


def test_logits_that_are_no_numbers_fail_at_every_precision() -> None:
    labels = some_labels()

    def broken(images: np.ndarray) -> np.ndarray:
        logits = read_labels(images)
        logits[0, 0, 0, 0] = np.nan
        return logits

    parity = compare(read_labels, broken, images_of(labels), labels, num_classes=CLASSES)
    for precision in Precision:
        assert any("not finite" in failure for failure in verdict(parity, precision, max_drop=1))


def test_masks_of_another_size_are_refused() -> None:
    labels = some_labels()
    with pytest.raises(ValueError, match=r"images are \(6, 1, 5, 7\) and masks \(6, 5, 6\)"):
        compare(read_labels, read_labels, images_of(labels), labels[:, :, 1:], num_classes=CLASSES)


def test_no_images_are_refused() -> None:
    labels = some_labels(count=0)
    with pytest.raises(ValueError, match="with B at least 1"):
        compare(read_labels, read_labels, images_of(labels), labels, num_classes=CLASSES)


def test_logits_in_the_wrong_layout_are_refused() -> None:
    labels = some_labels()
    with pytest.raises(ValueError, match=r"a prediction has shape \(4, 5, 7, 3\); expected logits"):
        compare(
            read_labels,
            lambda images: read_labels(images).transpose(0, 2, 3, 1),
            images_of(labels),
            labels,
            num_classes=CLASSES,
        )


def test_the_interval_holds_the_drop_and_narrows_with_more_images() -> None:
    def width(count: int) -> float:
        labels = some_labels(0, count)

        def candidate(images: np.ndarray) -> np.ndarray:
            wrong = images[:, 0].astype(int)
            wrong[:, :2] = np.random.default_rng(1).integers(0, CLASSES, wrong[:, :2].shape)
            return logits_of(wrong)

        parity = compare(read_labels, candidate, images_of(labels), labels, num_classes=CLASSES)
        low, high = parity.miou_drop_interval
        assert low < parity.miou_drop < high
        assert parity.images == count
        return high - low

    assert width(64) < width(8) / 2


def test_one_image_gives_no_interval() -> None:
    labels = some_labels(0, 1)
    assert compare(read_labels, read_labels, images_of(labels), labels, num_classes=CLASSES).miou_drop_interval is None
