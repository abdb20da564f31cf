from __future__ import annotations

import pytest

from scripts import export, train


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """The run of a small network with a file per format, not to be changed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    network = ["--model_arguments", "base_width=4,depth=1", "--epochs", "1", "--image_size", "32", "--workers", "0"]
    assert train.main([*network, "--threads", "1", "--out", str(out)]) == 0
    files = ["--formats", "onnx,tflite", "--precisions", "fp32", "--threads", "1"]
    assert export.main([str(out / "trained"), *files]) == 0
    return out
