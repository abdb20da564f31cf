"""What a network returns becomes full-size logits, whatever form it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import nn

from torchseg.models.external.outputs import FullSizeLogits, Outputs
from torchseg.models.external.probing import find_outputs


class _Returns(nn.Module):
    """A network whose output is what a function makes of two logit maps, at the image's size and at a fraction."""

    def __init__(self, make, *, classes=3, stride=1):
        super().__init__()
        self.make = make
        self.full, self.part = nn.Conv2d(3, classes, 1), nn.Conv2d(3, classes, stride, stride=stride)
        self.soft, self.sigmoid = nn.Softmax(1), nn.Sigmoid()

    def forward(self, images):
        return self.make(self, self.full(images), self.part(images))


class _Named(NamedTuple):
    aux: torch.Tensor
    logits: torch.Tensor


@dataclass
class _Fields:
    aux: torch.Tensor
    main: list[torch.Tensor]


def _wrapped(make, *, classes=3, num_classes=None, output="", **options):
    torch.manual_seed(0)
    network = _Returns(make, classes=classes, **options)
    outputs = find_outputs(network, 3, num_classes or classes, output=output)
    return network, outputs, FullSizeLogits(network, outputs)


IMAGES = torch.randn(2, 3, 32, 48)


@pytest.mark.parametrize(
    ("make", "output", "select"),
    [
        (lambda _, full, part: full, "", ()),
        (lambda _, full, part: {"aux": part, "out": full}, "", ("out",)),
        (lambda _, full, part: {"x": full, "y": part}, "x", ("x",)),
        (lambda _, full, part: (full, part), "", (0,)),
        (lambda _, full, part: [part, full], "1", (1,)),
        (lambda _, full, part: (part.mean((2, 3)), full), "", (1,)),
        (lambda _, full, part: {"maps": [part, full]}, "maps.1", ("maps", 1)),
        (lambda _, full, part: _Named(part, full), "", ("logits",)),
        (lambda _, full, part: _Fields(part, [full]), "main.0", ("main", 0)),
    ],
)
def test_the_logits_are_found_by_name_index_or_shape(make, output, select):
    network, outputs, wrapped = _wrapped(make, output=output)
    assert outputs.select == select
    assert torch.equal(wrapped(IMAGES), network.full(IMAGES))


def test_an_unknown_output_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"--output is 'ou' \(did you mean 'out'\?\); the network returns aux, out"):
        _wrapped(lambda _, full, part: {"aux": part, "out": full}, output="ou")


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_smaller_logits_are_resized_to_the_image(scale):
    network, outputs, wrapped = _wrapped(lambda _, full, part: part, stride=scale)
    assert outputs.scale == scale
    resized = nn.functional.interpolate(network.part(IMAGES), size=(32, 48), mode="bilinear")
    assert torch.equal(wrapped(IMAGES), resized)
    assert outputs.describe() == [f"logits are 1/{scale} of the image's size and resized bilinearly inside the network"]


def test_one_logit_becomes_two_whose_softmax_is_its_sigmoid():
    network, _, wrapped = _wrapped(lambda _, full, part: full, classes=1, num_classes=2)
    logits = wrapped(IMAGES)
    assert logits.shape == (2, 2, 32, 48)
    assert not logits[:, 0].any()
    assert torch.equal(logits[:, 1:], network.full(IMAGES))
    assert torch.allclose(logits.softmax(1)[:, 1:], network.full(IMAGES).sigmoid(), atol=1e-6)


@pytest.mark.parametrize("layer", ["soft", "sigmoid"])
def test_a_last_layer_that_makes_probabilities_is_taken_out(layer):
    network, outputs, wrapped = _wrapped(lambda self, full, part: getattr(self, layer)(full))
    assert outputs.last == layer
    assert torch.equal(wrapped(IMAGES), network.full(IMAGES))


@pytest.mark.parametrize(
    ("activate", "kind"), [(lambda full: full.softmax(1), "softmax"), (lambda full: full.sigmoid(), "sigmoid")]
)
def test_probabilities_without_a_layer_become_their_logarithms(activate, kind):
    network, outputs, wrapped = _wrapped(lambda self, full, part: activate(full))
    assert (outputs.activation, outputs.last) == (kind, "")
    logits, expected = wrapped(IMAGES), network.full(IMAGES)
    assert torch.equal(logits.argmax(1), expected.argmax(1))
    if kind == "softmax":
        assert torch.allclose(logits.softmax(1), expected.softmax(1), atol=1e-5)
    else:
        assert torch.allclose(logits, expected, atol=1e-3)


def test_one_probability_becomes_the_logit_behind_it():
    network, outputs, wrapped = _wrapped(lambda self, full, part: full.sigmoid(), classes=1, num_classes=2)
    assert outputs.activation == "sigmoid"
    assert torch.allclose(wrapped(IMAGES)[:, 1:], network.full(IMAGES), atol=1e-3)


@pytest.mark.parametrize("stride", [1, 2, 8, 32])
def test_the_stride_is_the_smallest_that_the_network_takes(stride):
    class Strict(nn.Conv2d):
        def forward(self, images):
            if images.shape[2] % stride or images.shape[3] % stride:
                raise RuntimeError("sizes of tensors must match")
            return super().forward(images)

    assert find_outputs(Strict(3, 3, 1), 3, 3).stride == stride


def test_a_network_that_takes_nothing_is_refused_with_its_own_words():
    with pytest.raises(
        ValueError, match=r"the network takes no images of 3 channels and .*expected input.* to have 4 channels"
    ):
        find_outputs(nn.Conv2d(4, 3, 1), 3, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _, full, part: full.mean((2, 3)), "a network must return one tensor"),
        (lambda _, full, part: "nothing", "the network returns str"),
        (lambda _, full, part: full[:, :, 3:-3, 3:-3], "its output must have the size of the image, or a half"),
    ],
)
def test_what_cannot_be_logits_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        _wrapped(make)


def test_another_number_of_classes_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match="the network has 3 classes and the data 5"):
        _wrapped(lambda _, full, part: full, num_classes=5)


def test_the_mode_of_every_layer_is_left_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).train()
    network[1].eval()
    find_outputs(network, 3, 3)
    assert [module.training for module in network.modules()] == [True, True, False]


def test_a_card_keeps_the_description():
    outputs = Outputs(stride=8, channels=1, select=("out", 0), scale=4, activation="sigmoid", last="act")
    assert Outputs.from_dict(outputs.to_dict()) == outputs
    with pytest.raises(ValueError, match="adopt the network again"):
        Outputs.from_dict({"stride": 8})
