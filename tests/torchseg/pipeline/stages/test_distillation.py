from __future__ import annotations

import pytest

from torchseg.config import DistillConfig
from torchseg.pipeline.stages.distillation import distillation_config
from torchseg.train import DistillationConfig


@pytest.mark.parametrize(
    ("flags", "views"), [({}, 1), ({"data": "folder"}, 0), ({"views": 5}, 5), ({"data": "folder", "views": 1}, 1)]
)
def test_views_that_nobody_gave_are_those_that_fit_the_data(flags, views):
    assert distillation_config(DistillConfig(**flags, alpha=0.25)) == DistillationConfig(alpha=0.25, views=views)
