import pytest
import torch
from torch import nn

from tf_bridge.tracing import export_program
from torchseg.spec import ImageSpec


def test_the_network_stays_as_it_was(network: nn.Module, spec: ImageSpec) -> None:
    network.train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    export_program(network, spec)
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_spec_with_other_classes_is_refused(network: nn.Module) -> None:
    spec = ImageSpec(height=16, width=24, classes=("background", "body"))
    with pytest.raises(ValueError, match=r"into \(1, 3, 16, 24\); expected logits \(1, 2, 16, 24\)"):
        export_program(network, spec)


def test_a_network_that_shrinks_pictures_is_refused(spec: ImageSpec) -> None:
    with pytest.raises(ValueError, match="one tensor of full size"):
        export_program(nn.Conv2d(3, 3, 2, stride=2), spec)


def test_a_network_with_several_answers_is_refused(spec: ImageSpec) -> None:
    class Twice(nn.Module):
        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return image, image

    with pytest.raises(ValueError, match="into tuple; expected logits"):
        export_program(Twice(), spec)


def test_a_network_that_looks_at_pixels_to_decide_is_refused(spec: ImageSpec) -> None:
    class Moody(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image if image.sum() > 0 else -image

    with pytest.raises(ValueError, match=r"cannot trace the network .*free of branches that depend on pixels"):
        export_program(Moody(), spec)


def test_a_network_that_fails_on_the_image_is_refused() -> None:
    spec = ImageSpec(height=15, width=24, classes=("background", "body", "rim"))
    with pytest.raises(ValueError, match=r"does not run on images \(1, 3, 15, 24\) \(.*\); give the image size"):
        export_program(nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 3, 1)), spec)
