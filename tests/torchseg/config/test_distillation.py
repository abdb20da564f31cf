from __future__ import annotations

import math
from pathlib import Path

import pytest

from torchseg.config.distillation import DistillationConfig, teacher_folders


@pytest.mark.parametrize(
    "settings", [{}, {"alpha": 0}, {"alpha": 1}, {"transfer_ratio": 0}, {"transfer_ratio": 16}, {"temperature": 0.1}]
)
def test_settings_at_the_ends_of_their_range_are_taken(settings):
    config = DistillationConfig(**settings)
    assert {name: getattr(config, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0}, "temperature is 0; give a positive number, e.g. 1 or 4"),
        ({"temperature": -1}, "temperature is -1; give a positive number"),
        ({"temperature": math.nan}, "temperature is nan; give a positive number"),
        ({"alpha": -0.1}, r"alpha is -0.1; give a share in \[0, 1\], e.g. 0.8"),
        ({"alpha": 1.1}, "alpha is 1.1; give a share"),
        ({"alpha": math.nan}, "alpha is nan; give a share"),
        ({"transfer_ratio": -1}, "transfer_ratio is -1; give images without masks per labelled image, 0 to 16, e.g. 1"),
        ({"transfer_ratio": 17}, "transfer_ratio is 17; give images without masks"),
        ({"transfer_ratio": math.nan}, "transfer_ratio is nan; give images without masks"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DistillationConfig(**settings)


def test_given_teachers_are_separated_by_commas(tmp_path):
    (tmp_path / "a,b").mkdir()
    assert teacher_folders(None) == ()
    assert teacher_folders(Path("runs/a")) == (Path("runs/a"),)
    assert teacher_folders(Path("runs/a, runs/b")) == (Path("runs/a"), Path("runs/b"))
    assert teacher_folders(tmp_path / "a,b") == (tmp_path / "a,b",)
