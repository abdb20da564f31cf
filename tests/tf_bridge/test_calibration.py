import numpy as np
import pytest

from tf_bridge.calibration import check_calibration
from torchseg.modelfile.precision import Precision
from torchseg.spec import ImageSpec


def test_int8_gets_its_images_back(spec: ImageSpec, images) -> None:
    assert check_calibration(images, spec, precision=Precision.INT8) is images


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.DYNAMIC])
def test_other_precisions_need_no_images(spec: ImageSpec, precision: Precision) -> None:
    assert check_calibration(None, spec, precision=precision) is None


def test_int8_without_images_is_refused(spec: ImageSpec) -> None:
    with pytest.raises(ValueError, match="int8 needs calibration images and got none"):
        check_calibration(None, spec, precision=Precision.INT8)


def test_images_of_another_size_are_refused(spec: ImageSpec, images) -> None:
    with pytest.raises(ValueError, match=r"calibration images are float32 \(4, 3, 8, 24\); give float32"):
        check_calibration(images[:, :, :8], spec, precision=Precision.INT8)


def test_raw_pictures_are_refused(spec: ImageSpec, images) -> None:
    with pytest.raises(ValueError, match="calibration images are uint8"):
        check_calibration(images.astype(np.uint8), spec, precision=Precision.INT8)


def test_values_that_are_no_numbers_are_refused(spec: ImageSpec, images) -> None:
    images[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        check_calibration(images, spec, precision=Precision.INT8)
