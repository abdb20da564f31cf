"""Features beside logits, so that a student can learn the features of its teacher as well as its answers."""

from __future__ import annotations

import threading
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_captured = threading.local()  # replicas share layers and run in threads of their own


class FeatureTeacher(nn.Module):
    """A teacher that appends its features to its logits.

    Features are what the last convolution of a network reads, so the logits are a linear function of them.

    Args:
        network: maps images `(B, C, H, W)` to logits `(B, K, H, W)`.
        shape: `(C, H, W)` of an image.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.network = network
        self.channels = _capture_features(network, shape)

    def forward(self, images: Tensor) -> Tensor:
        """Logits and features, `(B, K + F, H, W)`; the features are enlarged to the size of the logits."""
        logits = self.network(images)
        return _joined(logits, _captured.features)


class FeatureStudent(nn.Module):
    """A student in training that appends its features to its logits, projected to as many as the teacher has.

    The projection is a 1x1 convolution that is trained with the student and dropped afterwards. Source:
    arXiv:1412.6550, section 2.2.

    Args:
        network: maps images `(B, C, H, W)` to logits `(B, K, H, W)`; trained in place.
        shape: `(C, H, W)` of an image.
        channels: F, the number of the teacher's features.
        seed: of the projection's initial weights.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, int, int], *, channels: int, seed: int) -> None:
        super().__init__()
        self.network = network
        own = _capture_features(network, shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.projection = nn.Conv2d(own, channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits and features, `(B, K + F, H, W)`; in eval mode the logits alone."""
        logits = self.network(images)
        if not self.training:
            return cast(Tensor, logits)
        return _joined(logits, self.projection(_captured.features))


def _capture_features(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Makes the network keep what its last convolution reads; returns its number of channels.

    Raises:
        ValueError: if the network has no convolution.
    """
    last: list[nn.Conv2d | nn.ConvTranspose2d] = []
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [part.register_forward_pre_hook(lambda part, _: last.append(part)) for part in convolutions]
    was_training = network.training
    with torch.no_grad():
        network.eval()(torch.zeros(1, *shape, device=next(network.parameters()).device))
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    if not last:
        raise ValueError("feature_weight needs networks with a convolution, and there is none: give 0")
    last[-1].register_forward_pre_hook(_capture)
    return last[-1].in_channels


def _capture(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    (_captured.features,) = inputs


def _joined(logits: Tensor, features: Tensor) -> Tensor:
    if features.shape[2:] != logits.shape[2:]:
        features = functional.interpolate(features, size=logits.shape[2:], mode="bilinear", align_corners=False)
    return torch.cat([logits, features.to(logits.dtype)], dim=1)
