from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from torchseg.checkpoint import Card, load_checkpoint, save_checkpoint
from torchseg.data import Sample
from torchseg.models import build_model
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=24, classes=("sky", "road", "car"))


@pytest.fixture(scope="session")
def random_samples() -> Callable[[int], list[Sample]]:
    def make(count: int) -> list[Sample]:
        random = np.random.default_rng(0)
        return [
            Sample(
                name=f"picture{number}",
                picture=random.integers(0, 256, (SPEC.height, SPEC.width, 3), dtype=np.uint8),
                mask=random.choice(np.array([0, 1, 2, 255], np.uint8), (SPEC.height, SPEC.width)),
            )
            for number in range(count)
        ]

    return make


@pytest.fixture(scope="session")
def spec() -> ImageSpec:
    return SPEC


@pytest.fixture(scope="session")
def images(random_samples: Callable[[int], list[Sample]]) -> np.ndarray:
    return SPEC.prepare(np.stack([sample.picture for sample in random_samples(3)]))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "student"
    arguments = {"base_width": 2, "depth": 1}
    model = build_model("small_unet", arguments, SPEC, seed=3)
    save_checkpoint(model, Card(builder="small_unet", spec=SPEC, stage="student", arguments=arguments), folder)
    return folder


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> nn.Module:
    return load_checkpoint(checkpoint)[0]


@pytest.fixture(scope="session")
def onnx_file(model: nn.Module, checkpoint: Path, export_onnx: Callable[..., Path]) -> Path:
    return export_onnx(model, checkpoint.parent / "student.fp32.onnx")
