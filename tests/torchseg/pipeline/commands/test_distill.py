from pathlib import Path

import pytest

from torchseg.config import DistillConfig
from torchseg.pipeline.commands.distill import distill
from torchseg.pipeline.export import trial


def test_a_network_that_cannot_be_exported_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusals(card: trial.Card, formats: list[str]) -> trial.Refusals:
        return {"onnx": "layer 'head' has no counterpart" if card.stage == "teacher" else "", "tflite": ""}

    monkeypatch.setattr(trial, "MODELS", {})  # so that networks of this project, which are quick to build, are tried
    monkeypatch.setattr(trial, "refusals", refusals)
    config = DistillConfig(
        student="small_unet",
        teacher="unet",
        image_size="32",
        formats="onnx",
        out=tmp_path / "run",
        sparsity=0,
        clusters=None,
    )
    with pytest.raises(
        ValueError, match=r"the teacher network unet .* to onnx: layer 'head' has.*give --formats tflite"
    ):
        distill(config)
    assert not any((tmp_path / "run" / name).exists() for name in ("teacher", "student", "cache"))
