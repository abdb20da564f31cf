from __future__ import annotations

import pytest

from torchseg.pipeline.run.normalisation import chosen_scaling, scaling_for

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_equal_values_serve_any_number_of_channels(channels):
    assert scaling_for(((0.5,) * 3, (0.25,)), channels) == ((0.5,) * channels, (0.25,) * channels)


@pytest.mark.parametrize("scaling", [IMAGENET, ((0.5,), IMAGENET[1]), (IMAGENET[0], (0.5,))])
def test_values_of_other_channels_are_refused(scaling):
    assert scaling_for(scaling, 3)[0][:1] == scaling[0][:1]
    with pytest.raises(
        ValueError, match=r"of 3 channels and the images have 4; give --channels 3, or --mean and --std"
    ):
        scaling_for(scaling, 4)


def test_flags_may_repeat_the_normalisation_of_the_weights_in_one_value_for_all():
    trained = ((0.5,) * 3, (0.25,) * 3)
    assert chosen_scaling(((0.5,), (0.25,)), trained) == trained
    assert chosen_scaling(IMAGENET, None) == IMAGENET
    assert chosen_scaling(None, None) is None


@pytest.mark.parametrize("given", [((0.4,), (0.25,)), (IMAGENET[0][::-1], IMAGENET[1])])
def test_flags_that_contradict_the_weights_are_refused(given):
    with pytest.raises(ValueError, match=r"the weights to start from have .*; leave the flags out"):
        chosen_scaling(given, IMAGENET)
