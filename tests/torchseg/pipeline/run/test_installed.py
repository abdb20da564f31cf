from __future__ import annotations

import sys

import pytest

from torchseg.pipeline.run.installed import (
    CHANNEL_PRUNING,
    OPTIMAL,
    TFLITE,
    check_formats,
    check_installed,
    check_runtimes,
    runtime_need,
)


def _take_away(monkeypatch, *names):
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("need", "message"),
    [
        (TFLITE, r"writing \.tflite files needs tensorflow and ai-edge-litert: .*\[tf\]', or give --formats onnx"),
        (OPTIMAL, r"optimal clustering needs kmeans1d: .*\[compress\]', or give --cluster_start density"),
        (runtime_need("openvino"), r"running in OpenVINO needs openvino: .*\[openvino\]', or give other --runtimes"),
        (CHANNEL_PRUNING, r"removing channels needs torch-pruning: .*\[compress\]', or give --channel_sparsity 0"),
    ],
)
def test_what_is_missing_is_named_with_its_extra_and_the_way_round_it(need, message, monkeypatch):
    _take_away(monkeypatch, *need.modules)
    with pytest.raises(ImportError, match=message):
        check_installed(need)


def test_onnx_files_need_no_extra(monkeypatch):
    _take_away(monkeypatch, *TFLITE.modules, *OPTIMAL.modules, *CHANNEL_PRUNING.modules)
    check_formats(["onnx"])
    check_runtimes(["torch", "onnxruntime"])
