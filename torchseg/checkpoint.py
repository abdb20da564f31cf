"""A trained network on disk: its weights in `model.safetensors`, and `card.json`, which says how to build it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from torchseg.atomic_file import partial_file
from torchseg.compress.batch_norm import fold_batch_norm
from torchseg.compress.resize import resize_layers
from torchseg.models import rebuild_model
from torchseg.spec import ImageSpec

CARD_VERSION = 3
_READABLE = (1, 2, 3)  # version 1 lacks `resized` and `folded`, version 2 lacks `folded`
WEIGHTS = "model.safetensors"
CARD = "card.json"


@dataclass(frozen=True, kw_only=True)
class Card:
    """Description of a checkpoint: enough to rebuild the network, prepare its input, and trace its origin."""

    builder: str
    spec: ImageSpec
    stage: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)  # stage name -> SHA-256 of its weights
    metrics: Mapping[str, float] = field(default_factory=dict)
    resized: bool = False  # channels were removed: the weights, not the builder, define the width of the layers
    folded: bool = False  # batch norm was folded into convolutions, and the builder cannot build without batch norm
    version: int = CARD_VERSION


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


def read_card(folder: Path) -> Card:
    """Reads `card.json`; raises ValueError if it is missing, damaged or has an unknown version."""
    path = folder / CARD
    if not path.is_file() or not (folder / WEIGHTS).is_file():
        raise ValueError(
            f"{folder} is no checkpoint: it needs {CARD} and {WEIGHTS}; give a stage's folder, e.g. runs/scenes/teacher"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        card = Card(**values)
        card = replace(card, spec=ImageSpec.from_dict(values["spec"]))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}); copy it again from the run that made it") from error
    if card.version not in _READABLE:
        raise ValueError(f"{path} has card version {card.version}; this release reads versions 1 to 3")
    return replace(card, version=CARD_VERSION)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
