from __future__ import annotations

import pytest
import torch

from torchseg.checkpoint import Card, load_checkpoint, save_checkpoint
from torchseg.models import build_model, rebuild_model
from torchseg.models.multiply_adds import multiply_adds
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=32, width=64, classes=("a", "b", "c"))
NAME = "smp:Unet:mobilenet_v2"
SMALL = {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}


def test_a_checkpoint_of_such_a_network_loads_again(tmp_path):
    network = build_model(NAME, SMALL, SPEC).eval()
    save_checkpoint(network, Card(builder=NAME, spec=SPEC, stage="teacher", arguments=SMALL), tmp_path)
    again, card = load_checkpoint(tmp_path)
    images = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        assert torch.equal(network(images), again(images))
    assert card.builder == NAME
    assert network(images).shape == (1, 3, 32, 64)


def test_a_size_that_does_not_divide_is_refused_as_everywhere():
    with pytest.raises(ValueError, match="both sides must divide by 8: use 32x64"):
        build_model(NAME, SMALL, SPEC)(torch.randn(1, 3, 33, 64))


def test_loading_fetches_no_weights():
    with pytest.raises(ValueError, match="nonsense"):
        build_model(NAME, SMALL | {"encoder_weights": "nonsense"}, SPEC)
    rebuild_model(NAME, SMALL | {"encoder_weights": "nonsense"}, SPEC)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smp:Unt:resnet18", r"no architecture 'Unt' \(did you mean 'Unet'"),
        ("smp:Unet:resnet81", r"no encoder 'resnet81' \(did you mean 'resnet1"),
        ("smp:Unet", "no encoder ''"),
        ("smp:Unet:tu-resnet81", r"no encoder 'tu-resnet81' \(did you mean 'tu-resnet"),
    ],
)
def test_unknown_names_bring_the_near_ones(name, message):
    with pytest.raises(ValueError, match=message):
        build_model(name, {}, SPEC)


def test_a_network_may_see_images_larger_than_they_are():
    plain = build_model(NAME, SMALL, SPEC, seed=1).eval()
    twice = build_model(NAME, SMALL | {"image_scale": 2}, SPEC, seed=1).eval()
    images = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        larger = torch.nn.functional.interpolate(images, scale_factor=2, mode="bilinear")
        assert torch.equal(twice(images), torch.nn.functional.avg_pool2d(plain(larger), 2))
    assert (plain.stride, twice.stride) == (8, 4)
    assert multiply_adds(twice, SPEC) == 4 * multiply_adds(plain, SPEC)


def test_other_image_scales_are_refused():
    with pytest.raises(ValueError, match="one of 1, 2"):
        build_model(NAME, SMALL | {"image_scale": 3}, SPEC)


def test_unknown_arguments_are_named():
    with pytest.raises(ValueError, match=r"takes no depth \(did you mean 'encoder_depth'"):
        build_model(NAME, {"depth": 3}, SPEC)


def test_a_name_of_timm_is_a_unet_with_that_encoder():
    small = {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}
    ours = build_model("timm:resnet18", small, SPEC, seed=1)
    theirs = build_model("smp:Unet:tu-resnet18", small, SPEC, seed=1)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert all(torch.equal(ours.state_dict()[name], tensor) for name, tensor in theirs.state_dict().items())


def test_an_unknown_name_of_timm_is_answered_with_similar_ones():
    with pytest.raises(ValueError, match=r"there is no encoder 'tu-resnet8' \(did you mean 'tu-"):
        build_model("timm:resnet8", {}, SPEC)
