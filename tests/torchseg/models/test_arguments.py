from __future__ import annotations

import pytest

from torchseg.models import build_model, parse_arguments
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=32, width=48, classes=("a", "b", "c"))


def test_a_flag_becomes_typed_values():
    text = "base_width=32, depth=4,batch_norm=false,dropout=0.1,upsampling=bilinear,decoder_channels=[64,32]"
    assert parse_arguments(text) == {
        "base_width": 32,
        "depth": 4,
        "batch_norm": False,
        "dropout": 0.1,
        "upsampling": "bilinear",
        "decoder_channels": [64, 32],
    }


def test_no_flag_gives_no_arguments():
    assert parse_arguments("") == {}


@pytest.mark.parametrize("text", ["base_width", "base_width=", "=3", "a=[1", "base_width=3=4", "3=4"])
def test_another_form_is_refused(text):
    with pytest.raises(ValueError, match=r"model arguments are '.*'; give NAME=VALUE pairs"):
        parse_arguments(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base": 32}, r"takes no base \(did you mean 'base_width'\?\); it takes base_width, batch_norm"),
        ({"attention": True}, "takes no attention"),
        ({"depth": 2.5}, "depth of model 'unet' is 2.5; give a whole number"),
        ({"depth": True}, "give a whole number"),
        ({"dropout": "much"}, "dropout of model 'unet' is 'much'; give a number"),
        ({"batch_norm": 1}, "give true or false"),
        ({"upsampling": "nearest"}, "give one of bilinear, transposed"),
    ],
)
def test_arguments_that_a_builder_does_not_take_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_model("unet", arguments, SPEC)
