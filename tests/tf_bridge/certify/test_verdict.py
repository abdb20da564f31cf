from dataclasses import replace

import pytest

from tf_bridge.certify.parity import Parity
from tf_bridge.certify.verdict import verdict
from torchseg.modelfile.precision import Precision


def measured(**changes: float) -> Parity:
    values = {
        "max_abs_error": 0.0,
        "mean_abs_error": 0.0,
        "logit_range": 10.0,
        "argmax_agreement": 1.0,
        "miou_drop": 0.0,
    }
    return Parity(**(values | changes), iou_difference=(0.0, 0.0, None), worst_image=0)


@pytest.mark.parametrize(
    ("precision", "passing", "failing", "message"),
    [
        (Precision.FP32, {"argmax_agreement": 0.9995}, {"argmax_agreement": 0.9994}, "argmax agreement is 0.9994"),
        (Precision.FP32, {"max_abs_error": 0.01}, {"max_abs_error": 0.011}, "largest logit error is 0.011"),
        (Precision.FP16, {"argmax_agreement": 0.999}, {"argmax_agreement": 0.998}, "expected at least 0.999"),
        (Precision.DYNAMIC, {"miou_drop": 0.02}, {"miou_drop": 0.021}, "mean IoU drops by 0.0210"),
        (Precision.INT8, {"miou_drop": 0.02}, {"miou_drop": 0.021}, "expected at most 0.02"),
    ],
)
def test_each_precision_has_its_threshold(precision: Precision, passing, failing, message: str) -> None:
    assert verdict(measured(**passing), precision) == []
    assert message in verdict(measured(**failing), precision)[0]


def test_the_allowed_drop_can_be_given() -> None:
    assert verdict(measured(miou_drop=0.01), Precision.INT8, max_drop=0.005) != []
    assert verdict(measured(miou_drop=0.04), Precision.INT8, max_drop=0.05) == []


def test_no_class_may_lose_more_than_its_own_limit() -> None:
    parity = replace(measured(miou_drop=0.005), iou_difference=(0.02, -0.03, None))
    assert parity.worst_class_drop == 0.03
    assert verdict(parity, Precision.INT8, max_class_drop=0.03) == []
    assert "IoU of one class drops by 0.0300" in verdict(parity, Precision.INT8, max_class_drop=0.02)[0]
    assert verdict(parity, Precision.FP32, max_class_drop=0.02) == []


def test_classes_that_only_gain_lose_nothing() -> None:
    assert replace(measured(), iou_difference=(None, None, None)).worst_class_drop == 0
    assert verdict(replace(measured(), iou_difference=(0.1, 0.1, None)), Precision.INT8, max_class_drop=0.0) == []
