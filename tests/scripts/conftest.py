from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from torchseg.data.scenes import draw_scene


@pytest.fixture
def pictures(tmp_path):
    """A user's folder of thirty small pictures with masks."""
    root = tmp_path / "mine"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(30):
        picture, mask = draw_scene(32, 32, np.random.default_rng(number))
        Image.fromarray(picture).save(root / "images" / f"p{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"p{number}.png")
    (root / "classes.txt").write_text("ground\nstriped\nchecked\nwire\nring\n")
    return root


@pytest.fixture
def flags(pictures):
    """The smallest run there is."""
    return [
        *("--data", "folder", "--root", str(pictures), "--image_size", "32", "--batch_size", "8", "--workers", "0"),
        *("--teacher", "small_unet", "--epochs", "1", "--teacher_epochs", "1", "--formats", "onnx"),
        *("--precisions", "fp32", "--threads", "1", "--sparsity", "0", "--clusters", "null"),
    ]


@pytest.fixture
def compressing(flags):
    """The smallest run that prunes and clusters."""
    return [*flags, "--sparsity", "0.6", "--clusters", "6", "--prune_epochs", "9", "--cluster_epochs", "1"]
