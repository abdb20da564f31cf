"""What verify is given runs in other processes alone, whose time and memory are limited."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.pipeline.commands.verify import Verifier
from torchseg.pipeline.manifest.table_check import weights_apart

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")


class Forbidden:
    """Takes the place of a runtime's class in this process."""

    def __init__(self, *_: object, **__: object) -> None:
        raise AssertionError("this process opened a model file")


@pytest.fixture
def no_runtime_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this process open no model file; the processes that it starts can."""
    monkeypatch.setattr("onnxruntime.InferenceSession", Forbidden)
    monkeypatch.setattr("ai_edge_litert.interpreter.Interpreter", Forbidden)
    monkeypatch.setattr("tensorflow.keras.models.load_model", Forbidden)


@pytest.mark.usefixtures("no_runtime_here")
@pytest.mark.parametrize("ending", ["fp32.onnx", "int8.packed.onnx", "int8.tflite", "fp32.keras"])
def test_this_process_opens_no_file_that_it_verifies(
    ending: str, honest: Path, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = honest / f"artifacts/clustered.{ending}"
    assert verifier.problems(path, verifier.pictures(honest, None))[0] == []
    monkeypatch.setattr(RuntimeProcess, "__init__", Forbidden.__init__)
    assert verifier.weights(path).max_unique_weights > 1, "known from the certificate, without another process"


@pytest.mark.usefixtures("no_runtime_here")
def test_the_weights_of_a_file_without_a_certificate_are_counted_apart(honest: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(honest / "artifacts/clustered.int8.tflite", tmp_path))
    assert weights_apart(path).max_unique_weights > 1
