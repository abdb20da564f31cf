from __future__ import annotations

import numpy as np
import pytest

from torchseg.data import DataSet, Sample, UnmaskedSamples, inspect_data
from torchseg.data.inspection import grouped


@pytest.fixture
def inspect():
    """Inspects a data set with one image per given mask; every image is another one."""

    def run(train, validation, test, classes=("road", "car", "sky")):
        rng = np.random.default_rng(0)

        def samples(masks):
            return [
                Sample(
                    name=f"p{number}",
                    picture=rng.integers(0, 256, (10, 10, 3), dtype=np.uint8),
                    mask=np.resize(np.array(mask, np.uint8), (10, 10)),
                )
                for number, mask in enumerate(masks)
            ]

        return inspect_data(
            DataSet(classes=classes, train=samples(train), validation=samples(validation), test=samples(test))
        )

    return run


def test_classes_that_every_split_shows_often_are_no_warning(inspect):
    assert inspect([[0, 1, 2]] * 3, [[0, 1, 2]], [[0, 1, 2]]).warnings == ()


def test_scarce_classes_are_named_by_kind(inspect):
    found = inspect([[0, 1], [0, 1], [0, 1], [0, 2]], [[0, 1]], [[0, 1, 2]], classes=("road", "car", "sky", "a", "b"))
    assert found.warnings == ("in no mask of the validation split: sky", "in no mask: a, b")
    rare = inspect([[0, 1], [0, 1], [0, 1], [0, 2]], [[0, 1, 2]], [[0, 1, 2]])
    assert rare.warnings == ("rare, below 0.5% of the training pixels or in fewer than 3 images: sky",)


def test_classes_that_are_rare_and_those_that_another_split_could_spread_are_listed(inspect):
    found = inspect([[0, 1], [0, 1], [0, 1, 2]], [[0, 1, 2]], [[0, 1, 2]])
    assert (found.rare, found.uneven) == (("sky",), ())
    found = inspect([[0, 1, 2]] * 3, [[0, 1]], [[0, 1]])
    assert (found.rare, found.uneven) == ((), ("sky",))
    found = inspect([[0, 1, 2], [0, 1], [0, 1]], [[0, 1]], [[0, 1, 2]])  # too few for three splits
    assert (found.rare, found.uneven) == ((), ())


def test_masks_without_a_valid_pixel_are_counted(inspect):
    found = inspect([[0, 1, 2]] * 3 + [[255]] * 2, [[0, 1, 2]], [[0, 1, 2]])
    assert found.warnings == ("2 of 7 masks have no valid pixel: p3, p4",)
    assert found.ignored["train"] == 200


def test_images_without_masks_may_repeat_those_of_training():
    sample = Sample(name="a", picture=np.zeros((2, 2, 3), np.uint8), mask=np.array([[0, 1], [0, 1]], np.uint8))
    data = DataSet(
        classes=("a", "b"),
        train=[sample],
        validation=[],
        test=[],
        transfer=UnmaskedSamples([sample], ignore_index=255),
    )
    assert inspect_data(data).faults == ()


def test_many_faults_of_a_kind_are_one_sentence():
    faults = [f"mask /data/masks/p{number}.png: it holds the value 9; correct it" for number in range(20)]
    few = [f"cannot read the image /data/images/p{number}.png: cut off" for number in range(2)]
    assert grouped([*faults, *few]) == (f"{faults[0]} (19 more like this)", *few)
