"""A trained network on disk: its weights in `model.safetensors`, and `card.json`, which says how to build it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from torchseg.atomic_file import partial_file
from torchseg.compress.batch_norm import fold_batch_norm
from torchseg.compress.resize import resize_layers
from torchseg.modelfile.card import CARD, WEIGHTS, Card, read_card
from torchseg.modelfile.model_file import sha256_of
from torchseg.models import rebuild_model

__all__ = ["CARD", "WEIGHTS", "Card", "load_checkpoint", "read_card", "save_checkpoint", "sha256_of"]


def save_checkpoint(model: nn.Module, card: Card, folder: Path) -> None:
    """Writes weights and card into `folder`, each file atomically."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with partial_file(folder / WEIGHTS) as partial:
        save_file(weights, partial)
    text = json.dumps(asdict(card) | {"spec": card.spec.to_dict()}, indent=2) + "\n"
    with partial_file(folder / CARD) as partial:
        partial.write_text(text, encoding="utf-8")


def load_checkpoint(folder: Path) -> tuple[nn.Module, Card]:
    """Rebuilds the network that `save_checkpoint` wrote, in eval mode, on the CPU.

    Args:
        folder: the checkpoint folder, or one of the two files in it.

    Raises:
        ValueError: if a file is missing or damaged, or the weights do not fit the card.
    """
    folder = folder.parent if folder.name in (WEIGHTS, CARD) else folder
    card = read_card(folder)
    model = rebuild_model(card.builder, card.arguments, card.spec)
    try:
        weights = load_file(folder / WEIGHTS)
        if card.folded:
            fold_batch_norm(model.eval(), torch.zeros(1, card.spec.channels, card.spec.height, card.spec.width))
        if card.resized:
            resize_layers(model, weights)
        model.load_state_dict(weights)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{folder / WEIGHTS} does not hold the weights that {CARD} describes ({card.builder}); "
            f"train it again or copy both files from one run: {str(error).splitlines()[0]}"
        ) from error
    return model.eval(), card
