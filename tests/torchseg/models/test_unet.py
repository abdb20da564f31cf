from __future__ import annotations

import pytest
import torch

from torchseg.models import MODELS, build_model, multiply_adds
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=32, width=48, classes=("a", "b", "c"))
SMALL = {"base_width": 4, "depth": 2}
VARIANTS = [{}, {"batch_norm": False}, {"dropout": 0.3}, {"upsampling": "transposed"}]


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_network_gives_logits_of_the_picture_size_and_learns(name, variant):
    model = build_model(name, SMALL | variant, SPEC)
    logits = model(torch.randn(2, 3, 32, 48))
    assert logits.shape == (2, 3, 32, 48)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", sorted(MODELS))
def test_any_size_that_divides_by_the_stride_works(name):
    model = build_model(name, SMALL, SPEC).eval()
    for size in ((4, 4), (8, 20), (36, 12)):
        with torch.no_grad():
            assert model(torch.randn(1, 3, *size)).shape[2:] == size


def test_a_size_that_does_not_divide_brings_the_nearest_that_do():
    model = build_model("unet", {"base_width": 4, "depth": 3}, SPEC)
    with pytest.raises(ValueError, match=r"image is 30x48; both sides must divide by 8: use 24x48 or 32x48"):
        model(torch.randn(1, 3, 30, 48))


def test_the_default_student_is_ten_times_cheaper_than_the_default_teacher():
    teacher, student = (multiply_adds(build_model(name, {}, SPEC), SPEC) for name in ("attention_unet", "small_unet"))
    assert teacher >= 10 * student


def test_multiply_adds_of_one_layer_are_those_counted_by_hand():
    convolution = torch.nn.Conv2d(3, 7, 3, padding=1, bias=False)
    assert multiply_adds(convolution, SPEC) == 32 * 48 * 3 * 3 * 3 * 7


def test_the_seed_decides_the_weights_and_the_global_state_is_left_alone():
    before = torch.random.get_rng_state()
    first, again, other = (build_model("unet", SMALL, SPEC, seed=seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_unknown_network_brings_the_near_names():
    with pytest.raises(ValueError, match=r"there is no model 'smal_unet' \(did you mean 'small_unet'"):
        build_model("smal_unet", {}, SPEC)


def test_an_unknown_argument_is_named():
    with pytest.raises(ValueError, match=r"model 'unet' takes no width; it takes base_width"):
        build_model("unet", {"width": 3}, SPEC)


@pytest.mark.parametrize(("changes", "message"), [({"depth": 0}, "at least 1"), ({"dropout": 1.0}, "give a share")])
def test_arguments_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build_model("unet", SMALL | changes, SPEC)
