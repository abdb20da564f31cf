"""The card of a checkpoint: what its folder says of the weights in it. Needs no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torchseg.checks import check_name
from torchseg.modelfile.kinds import CHECKPOINT_FILES
from torchseg.record import build, read_json
from torchseg.spec import ImageSpec

WEIGHTS, CARD = CHECKPOINT_FILES
CARD_VERSION = 4
# Version 1 lacks `resized` and `folded`, version 2 `folded`, version 3 `weights_sha256`, `code`, `outputs`, checksum.
_READABLE = (1, 2, 3, 4)
_REMEDY = "copy it again from the run that made it"


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
    weights_sha256: str = field(default="", compare=False)  # empty in cards of version 3 and earlier
    code: Mapping[str, str] = field(default_factory=dict)  # file, sha256 and source of a network of the user's own
    outputs: Mapping[str, Any] = field(default_factory=dict)  # how the network's outputs become logits, see `Outputs`
    version: int = CARD_VERSION

    def __post_init__(self) -> None:
        check_name("stage", self.stage)
        for parent in self.parents:
            check_name("the name of a parent", parent)


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder has the files of a checkpoint."""
    return (folder / CARD).is_file() and (folder / WEIGHTS).is_file()


def read_card(folder: Path) -> Card:
    """Reads `card.json`; raises ValueError if it is missing, damaged or has an unknown version."""
    path = folder / CARD
    if not is_checkpoint(folder):
        raise ValueError(
            f"{folder} is not a checkpoint: it needs {CARD} and {WEIGHTS}; give a folder such as runs/scenes/teacher"
        )
    values = read_json(path, remedy=_REMEDY)
    version = values.get("version", CARD_VERSION)
    if isinstance(version, int) and version not in _READABLE:
        raise ValueError(f"{path} has card version {version}; this release reads versions 1 to {CARD_VERSION}")
    card = build(Card, values, path=path, remedy=_REMEDY)
    if card.code and not {"file", "sha256"} <= card.code.keys():
        raise ValueError(f"{path} is damaged (its code has no file or no sha256); {_REMEDY}")
    return replace(card, version=CARD_VERSION)
