from __future__ import annotations

import numpy as np

from torchseg.data import Sample
from torchseg.pipeline.network_export import CALIBRATED_WITH, calibration_samples
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=8, width=8, classes=("a", "b", "c"))


def _samples(count, rare):
    """All pictures hold classes 0 and 1; the one at `rare` holds class 2 as well."""
    samples = []
    for index in range(count):
        mask = np.zeros((8, 8), np.uint8)
        mask[:4] = 1
        if index == rare:
            mask[0] = 2
        samples.append(Sample(name=str(index), picture=np.zeros((8, 8, 3), np.uint8), mask=mask))
    return samples


def test_a_rare_class_far_back_is_among_the_calibration_pictures():
    chosen = calibration_samples(_samples(200, rare=150), SPEC)
    assert len(chosen) == CALIBRATED_WITH + 1
    assert "150" in {sample.name for sample in chosen}


def test_few_pictures_are_all_taken():
    assert len(calibration_samples(_samples(5, rare=0), SPEC)) == 5
