from __future__ import annotations

import pytest
import torch
from torch import nn

from torchseg.models import ENSEMBLE, Ensemble, build_model, ensemble_arguments
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=16, classes=("a", "b", "c"))
MEMBERS = [("unet", {"base_width": 4, "depth": 1}), ("small_unet", {"base_width": 4, "depth": 2})]


class Fixed(nn.Module):
    """The same probabilities at every pixel."""

    def __init__(self, *probabilities):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(probabilities).log().view(1, -1, 1, 1))

    def forward(self, images):
        return self.weight.expand(len(images), -1, *images.shape[2:])


def test_probabilities_are_averaged():
    logits = Ensemble([Fixed(0.8, 0.1, 0.1), Fixed(0.2, 0.7, 0.1)])(torch.zeros(2, 3, 4, 4))
    assert logits.shape == (2, 3, 4, 4)
    expected = torch.tensor([0.5, 0.4, 0.1]).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    assert torch.allclose(logits.softmax(dim=1), expected, atol=1e-6)


def test_of_networks_that_are_certain_of_opposites_the_logits_stay_finite_in_float16():
    certain = [Fixed(*p) for p in ((1.0, 1e-30, 1e-30), (1e-30, 1.0, 1e-30))]
    logits = Ensemble(certain)(torch.zeros(1, 3, 2, 2)).half()
    assert torch.isfinite(logits).all()
    assert logits.float().softmax(dim=1)[0, :, 0, 0].tolist() == pytest.approx([0.5, 0.5, 0], abs=1e-3)


def test_the_stride_suits_every_network():
    networks = [build_model(name, arguments, SPEC) for name, arguments in MEMBERS]
    assert [network.stride for network in networks] == [2, 4]
    assert Ensemble(networks).stride == 4


def test_it_is_built_from_the_names_and_arguments_of_its_networks():
    networks = [build_model(name, arguments, SPEC, seed=1) for name, arguments in MEMBERS]
    built = build_model(ENSEMBLE, ensemble_arguments(MEMBERS), SPEC)
    built.load_state_dict(Ensemble(networks).state_dict())
    image = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(built.eval()(image), Ensemble(networks).eval()(image))


def test_it_is_built_without_pretrained_weights():
    arguments = ensemble_arguments([("smp:Unet:resnet18", {"encoder_weights": "imagenet", "decoder_channels": [8, 4]})])
    assert arguments == {"members": ["smp:Unet:resnet18 decoder_channels=[8,4]"]}
