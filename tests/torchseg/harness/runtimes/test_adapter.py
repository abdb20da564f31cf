from __future__ import annotations

import numpy as np
import pytest

from torchseg.harness.runtimes.adapter import FileAdapter, check_single_input
from torchseg.modelfile.run_options import RunOptions

IMAGES = np.random.default_rng(0).uniform(0, 255, (5, 3, 4, 6)).astype(np.float32)  # (B, C, H, W)


def adapter(shape, *, usual="NCHW", pixels=None, **options):
    return FileAdapter(
        shape, usual=usual, outputs=["out"], pixels=pixels, options=RunOptions(**options), classes=lambda: None
    )


def test_a_fixed_batch_is_filled_up_and_the_copies_are_dropped():
    seen = []

    def run(batch):
        seen.append(batch)
        return [batch * 2]

    file = adapter((4, 3, 4, 6), classes=3)
    np.testing.assert_array_equal(file.predict(IMAGES, run), IMAGES * 2)
    assert [len(batch) for batch in seen] == [4, 4]
    np.testing.assert_array_equal(seen[1][1:], np.repeat(IMAGES[4:], 3, axis=0))
    assert file.note == ""


def test_a_file_that_takes_blue_first_gets_blue_first():
    scores = adapter((None, 3, None, None), colour_order="BGR", classes=3).predict(IMAGES, lambda batch: [batch])
    np.testing.assert_array_equal(scores, IMAGES[:, ::-1])


@pytest.mark.parametrize("number", [np.uint8, np.int32, np.int64])
def test_a_file_of_whole_numbers_gets_rounded_pixels(number):
    def run(batch):
        assert batch.dtype == number
        return [batch.astype(np.float32)]

    file = adapter((None, 4, 6, 3), usual="NHWC", pixels=number, classes=3)
    np.testing.assert_array_equal(file.predict(IMAGES, run), np.rint(IMAGES))


def test_an_input_without_a_shape_takes_any_image():
    file = adapter((), classes=3)
    np.testing.assert_array_equal(file.predict(IMAGES, lambda batch: [batch]), IMAGES)


def test_images_of_another_number_of_channels_are_named():
    with pytest.raises(ValueError, match=r"takes \[1, 4, 4, 6\] and \[5, 3, 4, 6\] came: .* images of 4 channels"):
        adapter((1, 4, 4, 6)).predict(IMAGES, lambda batch: [batch])


def test_a_file_of_two_inputs_is_refused():
    with pytest.raises(ValueError, match=r"2 inputs \(image, prior\); a file that segments images has one"):
        check_single_input(["image", "prior"])
