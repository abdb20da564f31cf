"""A trained network: the module, its card and the folder of its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from torchseg.checkpoint import WEIGHTS, Card, load_checkpoint
from torchseg.harness.format import percent
from torchseg.harness.sliding_window import by_resizing
from torchseg.models import count_parameters
from torchseg.spec import ImageSpec
from torchseg.tensor_file import read_tensors


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Network:
    """A trained network, ready for use.

    Attributes:
        module: takes images `(B, C, H, W)` and gives logits `(B, K, H, W)`; in eval mode, on the CPU.
        card: builder, image spec, origin and validation metrics.
        folder: of its checkpoint.
    """

    module: nn.Module
    card: Card
    folder: Path

    @property
    def spec(self) -> ImageSpec:
        """Size, normalisation and classes of its images."""
        return self.card.spec

    def predict(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Classes `(H, W)` of an RGB picture `(H, W, 3)` of any size, values from 0 to 255.

        Raises:
            ValueError: if the picture has another shape or type.
        """
        if picture.ndim != 3 or picture.shape[2] != self.spec.channels or picture.dtype != np.uint8:
            raise ValueError(
                f"the image is {picture.dtype} {picture.shape}; give uint8 (H, W, {self.spec.channels}) in RGB order"
            )
        return by_resizing(self._logits, picture, self.spec)

    def _logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        device = next(self.module.parameters()).device
        with torch.inference_mode():
            logits: NDArray[np.float32] = self.module(torch.from_numpy(images).to(device)).cpu().numpy()
        return logits

    def __repr__(self) -> str:
        miou = self.card.metrics.get("val_miou")
        known = f", mean IoU {percent(miou)} on the validation split" if miou is not None else ""
        parameters = f"{count_parameters(self.module):,} parameters"
        return f"Network({self.card.builder} as {self.card.stage}: {parameters}{known}; {self.folder})"


def load(checkpoint: str | Path) -> Network:
    """Loads a trained network.

    Args:
        checkpoint: folder of a checkpoint, e.g. `runs/pets/teacher`, or one of the two files in it.

    Returns:
        The network in eval mode, on the CPU.

    Raises:
        ValueError: if the folder is not a checkpoint, or is damaged.
    """
    path = Path(checkpoint)
    module, card = load_checkpoint(path)
    return Network(module=module, card=card, folder=path if path.is_dir() else path.parent)


def folder_of(network: Network | str | Path) -> Path:
    """Folder of the checkpoint that a function reads.

    Raises:
        ValueError: if the weights of a network differ from those in its folder.
    """
    if not isinstance(network, Network):
        return Path(network)
    weights = read_tensors(network.folder / WEIGHTS) if (network.folder / WEIGHTS).is_file() else {}
    own = network.module.state_dict()
    if own.keys() != weights.keys() or not all(_same(own[name], weights[name]) for name in weights):
        raise ValueError(
            f"{network.folder} holds other weights than this network: one has changed since it was loaded. Load "
            "the folder again with torchseg.load, or write the network to a new folder with "
            "torchseg.checkpoint.save_checkpoint and load that"
        )
    return network.folder


def _same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return ours.shape == theirs.shape and torch.equal(ours.cpu(), theirs)
