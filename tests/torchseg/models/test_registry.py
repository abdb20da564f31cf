"""What holds for every network of the table."""

from __future__ import annotations

import pytest
import torch

from torchseg.models import MODELS, build_model, defaults_of, known_arguments, multiply_adds, parse_arguments
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=32, width=48, classes=("a", "b", "c"))
SMALL = {"base_width": 4, "depth": 2}
CUT = {"cut": 8, "decoder_widths": [4, 4]}
VARIANTS = [
    {},
    {"batch_norm": False},
    {"dropout": 0.3},
    {"upsampling": "transposed"},
    {"layers": "plain"},
    {"layers": "depthwise"},
]
CASES = [
    pytest.param(name, variant, id=f"{name}-{variant}")
    for name in sorted(MODELS)
    for variant in VARIANTS
    if set(variant) <= set(known_arguments(MODELS[name]))
]


def _small(name):
    """Arguments that make this network small."""
    return {key: value for key, value in (SMALL | CUT).items() if key in known_arguments(MODELS[name])}


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_every_network_gives_logits_of_the_picture_size_and_learns(name, variant):
    model = build_model(name, _small(name) | variant, SPEC)
    logits = model(torch.randn(2, 3, 32, 48))
    assert logits.shape == (2, 3, 32, 48)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_any_size_that_divides_by_the_stride_works_and_no_other(name):
    model = build_model(name, _small(name), SPEC).eval()
    for rows, columns in ((1, 1), (2, 5), (9, 3)):
        size = (rows * model.stride, columns * model.stride)
        with torch.no_grad():
            assert model(torch.randn(1, 3, *size)).shape[2:] == size
    with pytest.raises(ValueError, match=f"both sides must divide by {model.stride}"):
        model(torch.randn(1, 3, model.stride, model.stride + 1))


@pytest.mark.parametrize("name", [name for name in sorted(MODELS) if "depth" in known_arguments(MODELS[name])])
def test_arguments_out_of_range_are_refused(name):
    with pytest.raises(ValueError, match="at least 1"):
        build_model(name, {"depth": 0}, SPEC)


def test_the_default_student_is_ten_times_cheaper_than_the_default_teacher():
    teacher, student = (multiply_adds(build_model(name, {}, SPEC), SPEC) for name in ("attention_unet", "fast_unet"))
    assert teacher >= 10 * student


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_defaults_that_are_told_are_those_that_are_taken(name):
    told, taken = (build_model(name, arguments, SPEC) for arguments in (defaults_of(name), {}))
    assert str(told) == str(taken)
    assert defaults_of(name).keys() == known_arguments(MODELS[name]).keys()


def test_the_seed_decides_the_weights_and_the_global_state_is_left_alone():
    before = torch.random.get_rng_state()
    first, again, other = (build_model("unet", SMALL, SPEC, seed=seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_unknown_network_brings_the_near_names():
    with pytest.raises(ValueError, match=r"there is no model 'smal_unet' \(did you mean 'small_unet'"):
        build_model("smal_unet", {}, SPEC)


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
