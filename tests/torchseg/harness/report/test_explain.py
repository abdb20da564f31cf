from __future__ import annotations

import numpy as np
import pytest

from torchseg.harness.measure.layer_profile import LayerCost, Profile
from torchseg.harness.measure.weights import WeightCount
from torchseg.harness.report.explain import Explanation, explanation_lines, measure_explanation
from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.harness.runtimes.process import RuntimeProcessError
from torchseg.harness.scoring.latency import Latency, LatencyConfig

QUICK = LatencyConfig(rounds=2, repeats=2, max_rounds=2)


def test_a_file_is_measured_and_told(onnx_file):
    found = measure_explanation(onnx_file, (1, 3, 16, 24), runtime=None, config=QUICK)
    assert found.info.name == "onnxruntime"
    assert found.peak_share is not None
    assert 0 < found.peak_share < 2
    text = "\n".join(explanation_lines(found, count=2))
    assert "the 2 costliest of" in text
    assert "of the float32 peak" in text
    assert "million multiply-adds" in text


def test_a_damaged_file_says_so(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"nothing of use")
    with pytest.raises(RuntimeProcessError, match="is not an ONNX file"):
        measure_explanation(tmp_path / "bad.onnx", (1, 3, 16, 24), runtime=None, config=QUICK)


def test_what_fell_out_of_the_fast_path_and_zeros_that_save_no_time_are_named():
    layers = [
        LayerCost(name="a", kind="CONV_2D", milliseconds=3.0, note="1x8x8x4"),
        LayerCost(name="b" * 80, kind="CUMSUM", milliseconds=1.0, note="1x8x8x4, not in XNNPACK"),
    ]
    found = Explanation(
        info=RuntimeInfo(
            name="litert",
            version="2",
            threads=1,
            input_shape=(1, 8, None, 3),
            fast_path="XNNPACK",
            leftovers=("CUMSUM",),
        ),
        latency=Latency(recorded_ms=np.array([[4.0, 4.1]])),
        profile=Profile(layers=layers, method="by hand", fast=0.5),
        weights=WeightCount(sparsity=0.8, max_unique_weights=6),
        multiply_adds=2_000_000,
        peak_share=0.25,
    )
    text = "\n".join(explanation_lines(found))
    for words in (
        "1x8x?x3", "XNNPACK took 1 of 2 operators (50 %), left over: CUMSUM", "0.5 billion a second, 25 % of",
        " 75.0%  CONV_2D", "..." + "b" * 45, "CONV_2D 75 %, CUMSUM 25 %", "1 operator fell out of XNNPACK",
        "80 % of the weights are zero",
    ):  # fmt: skip
        assert words in text, words
