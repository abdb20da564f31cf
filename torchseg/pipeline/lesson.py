"""How the student of a configuration listens to its teacher."""

from __future__ import annotations

from dataclasses import fields

from torchseg.config import DistillConfig
from torchseg.data import GENERATED
from torchseg.pipeline.training import VIEWS
from torchseg.train import DistillationConfig


def lesson(config: DistillConfig) -> DistillationConfig:
    """The flags of the same names; views that nobody gave are those that fit the data."""
    values = {each.name: getattr(config, each.name) for each in fields(DistillationConfig)}
    views = VIEWS[config.data == GENERATED] if config.views is None else config.views
    return DistillationConfig(**values | {"views": views})
