from __future__ import annotations

import pytest

from torchseg.harness.measure.layer_profile import LayerCost, Profile
from torchseg.harness.report.advice import explain, explain_profile


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"arithmetic": "float32 from float16"}, "Half-precision weights are expanded"),
        ({"arithmetic": "int8 (dynamic)", "runtime": "onnxruntime"}, "no fast kernel"),
        (
            {"leftovers": "CUMSUM FLOOR CUMSUM", "fast_path": "XNNPACK"},
            "3 operators fell out of XNNPACK (CUMSUM",
        ),
        ({"sparsity": "0.8"}, "80 % of the weights are zero"),
        ({"noisy": "true"}, "files by their time ratio"),
    ],
)
def test_each_known_cause_has_its_sentence(row, words):
    (sentence,) = explain(row)
    assert words in sentence


def test_an_ordinary_file_needs_no_explanation():
    assert explain({"arithmetic": "int8", "runtime": "litert", "sparsity": "0.01", "noisy": "false"}) == []


def test_dynamic_int8_is_fine_where_it_has_a_fast_kernel():
    assert explain({"arithmetic": "int8 (dynamic)", "runtime": "litert"}) == []


def test_a_file_that_failed_has_said_why_already():
    assert explain({"error": "is damaged", "noisy": "true"}) == []


def thin(*, channels: int, of_ten: float) -> Profile:
    """ONNX Runtime's 8-bit convolutions of so many channels have that share of the time, wide ones the rest."""
    parts = {channels: of_ten, 64: 10 - of_ten}
    layers = [
        LayerCost(name=f"of {sides}", kind="QLinearConv", milliseconds=taken, note=f"uint8 1x128x128x{sides}")
        for sides, taken in parts.items()
    ]
    return Profile(layers=layers, method="")


def costs(**kinds: float) -> Profile:
    layers = [LayerCost(name=kind.lower(), kind=kind, milliseconds=taken) for kind, taken in kinds.items()]
    return Profile(layers=layers, method="")


@pytest.mark.parametrize(
    ("profile", "arithmetic", "words"),
    [
        (costs(QLinearConv=8, DequantizeLinear=1, QuantizeLinear=1), "int8", "number formats takes 20 % of the time"),
        (costs(Conv=6, ReorderInput=2, Transpose=2), "float32", "memory layouts takes 40 % of the time"),
        (costs(CONV_2D=7, RESIZE_BILINEAR=3), "float32", "Resizing takes 30 % of the time"),
        (thin(channels=16, of_ten=6), "int8", "at most 16 channels take 60 % of the time"),
        (costs(QLinearConv=9, Conv=1), "int8", "in this 8-bit file: 1 convolution (conv)"),
    ],
)
def test_what_the_layers_show_has_its_sentence(profile, arithmetic, words):
    (sentence,) = explain_profile(profile, arithmetic=arithmetic)
    assert words in sentence


def test_a_file_that_spends_its_time_on_convolutions_needs_no_explanation():
    assert explain_profile(costs(Conv=19, Resize=1), arithmetic="float32") == []
    assert explain_profile(thin(channels=32, of_ten=9), arithmetic="int8") == []
    assert explain_profile(thin(channels=8, of_ten=2), arithmetic="int8") == []
    assert explain_profile(Profile(layers=[], method=""), arithmetic="int8") == []
