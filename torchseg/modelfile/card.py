"""The card of a checkpoint: what its folder says of the weights in it. Needs no PyTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torchseg.modelfile.kinds import CHECKPOINT_FILES
from torchseg.spec import ImageSpec

WEIGHTS, CARD = CHECKPOINT_FILES
CARD_VERSION = 3
_READABLE = (1, 2, 3)  # version 1 lacks `resized` and `folded`, version 2 lacks `folded`


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


def read_card(folder: Path) -> Card:
    """Reads `card.json`; raises ValueError if it is missing, damaged or has an unknown version."""
    path = folder / CARD
    if not path.is_file() or not (folder / WEIGHTS).is_file():
        raise ValueError(
            f"{folder} is not a checkpoint: it needs {CARD} and {WEIGHTS}; give a folder such as runs/scenes/teacher"
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
