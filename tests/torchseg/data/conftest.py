from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def real_data():
    """Folder of the real photos, for tests that check a reader against what is really out there."""
    if not SHARED.is_dir():
        pytest.skip("the real photos are not beside this checkout")
    return SHARED


@pytest.fixture
def write_pair(tmp_path):
    """Writes a random picture with a mask of the given values into images/ and masks/."""

    def write(name: str, *, values=(0, 1), size=(12, 16), mask_size=None, root=tmp_path) -> None:
        rng = np.random.default_rng(len(name))
        for folder in ("images", "masks"):
            (root / folder).mkdir(exist_ok=True, parents=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / "images" / f"{name}.jpg")
        mask = rng.choice(np.array(values, np.uint8), mask_size or size)
        Image.fromarray(mask).save(root / "masks" / f"{name}.png")

    return write


@pytest.fixture
def spawned(monkeypatch):
    """Makes processes begin afresh, as on macOS and Windows, instead of as copies of this one."""
    spawn = multiprocessing.get_context("spawn")
    monkeypatch.setattr(multiprocessing.context._default_context, "_actual_context", spawn)
    assert multiprocessing.get_context() is spawn
