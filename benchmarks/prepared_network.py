"""Makes a network with realistic logits within seconds: few training steps, batch norm statistics of real images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from tf_bridge.certify.parity import Predict
from torchseg.data import Samples, resize
from torchseg.models import build_model, fold_branches
from torchseg.pipeline.run.dataset import Pictures
from torchseg.spec import ImageSpec

_BATCH = 8


def prepared_network(name: str, arguments: Mapping[str, Any], pictures: Pictures, *, steps: int) -> nn.Module:
    """Builds the network `name` and trains it for `steps` batches, ready to be exported.

    Batch norm has the mean statistics of 32 training images. With 0 steps the weights are random, and the two best
    classes are nearly tied at many pixels.
    """
    network = build_model(name, arguments, pictures.spec).train()
    _learn(network, pictures, steps)
    settle_norms(network, pictures)
    fold_branches(network)
    return network


def settle_norms(network: nn.Module, pictures: Pictures) -> None:
    """Gives batch norm the mean statistics of 32 training images, and leaves the network in eval mode."""
    network.train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # momentum None: the plain mean over all batches
    with torch.no_grad():
        for batch in torch.from_numpy(arrays(pictures.train, pictures.spec, 4 * _BATCH)[0]).split(_BATCH):  # type: ignore[no-untyped-call]
            network(batch)
    network.eval()


def arrays(part: Samples, spec: ImageSpec, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` samples of a split, which is repeated if it has fewer.

    Returns:
        Prepared images, float32 `(count, C, H, W)`, and masks, uint8 `(count, H, W)`.
    """
    samples = [resize(part[index % len(part)], height=spec.height, width=spec.width) for index in range(count)]
    return spec.prepare(np.stack([each.picture for each in samples])), np.stack([each.mask for each in samples])


def predictor(network: nn.Module) -> Predict:
    """The network in PyTorch as a function of arrays: images `(B, C, H, W)` to logits `(B, K, H, W)`, both float32."""

    def predict(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits: np.ndarray = network(torch.from_numpy(images)).numpy()
        return logits

    return predict


def _learn(network: nn.Module, pictures: Pictures, steps: int) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    images, masks = arrays(pictures.train, pictures.spec, _BATCH * max(steps, 1))
    for start in range(0, _BATCH * steps, _BATCH):
        logits = network(torch.from_numpy(images[start : start + _BATCH]))
        truth = torch.from_numpy(masks[start : start + _BATCH]).long()
        loss = nn.functional.cross_entropy(logits, truth, ignore_index=pictures.spec.ignore_index)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
