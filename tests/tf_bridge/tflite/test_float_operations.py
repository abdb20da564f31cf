from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.special_functions import Applied
from tests.special_layers import SIZE, SpecialNetwork, build_special
from tests.special_masks import MASKED_LAYERS
from tf_bridge.certify.file_layers import open_layers
from tf_bridge.conversion import Conversion
from torchseg.modelfile.precision import Precision
from torchseg.modelfile.tflite import open_tflite
from torchseg.spec import ImageSpec

pytestmark = [pytest.mark.tflite, pytest.mark.slow]
pytest.importorskip("tensorflow")
SPEC = ImageSpec(height=SIZE[0], width=SIZE[1], classes=("a", "b", "c"))


@pytest.fixture
def special_images():
    return np.random.default_rng(0).standard_normal((4, 3, *SIZE)).astype(np.float32)


@pytest.mark.parametrize("name", ["flow alignment", "spatial transformer"])
def test_images_are_sampled_at_exact_places_in_int8(name, special_images, tmp_path, torch_predict, tflite_predict):
    network, path = build_special(name), tmp_path / "net.tflite"
    Conversion(network, SPEC).write(path, precision=Precision.INT8, calibration=special_images)
    expected = np.concatenate([torch_predict(network)(image[None]) for image in special_images])
    error = np.abs(tflite_predict(path)(special_images) - expected).max() / np.ptp(expected)
    assert error < 0.05


def test_what_computes_features_and_the_flow_stays_in_int8(special_images, tmp_path):
    path = tmp_path / "net.tflite"
    Conversion(build_special("flow alignment"), SPEC).write(path, precision=Precision.INT8, calibration=special_images)
    grids = open_layers(path).grids
    assert {"stem/conv2d", "logits"} <= set(grids)
    assert any(name.startswith("layer.flow/conv2d/") for name in grids)  # its bias is added in float, so in part
    file = open_tflite(path)
    kernels = [file.graph.tensors[each.inputs[1]] for each in file.graph.operators if file.kind(each) == "CONV_2D"]
    assert [file.type_of(kernel) for kernel in kernels] == ["int8"] * 3


def test_images_are_sampled_in_float_between_other_float_layers(
    special_images, tmp_path: Path, torch_predict, tflite_predict
):
    network, path = build_special("flow alignment"), tmp_path / "net.tflite"
    mixed = Conversion(network, SPEC).mixed_precision(".tflite", special_images)
    mixed.write(path, float_layers=["head"])
    expected = np.concatenate([torch_predict(network)(image[None]) for image in special_images])
    error = np.abs(tflite_predict(path)(special_images) - expected).max() / np.ptp(expected)
    assert error < 0.05


@pytest.mark.parametrize(("name", "most"), [("cosine attention in masked windows", 0.05), ("double attention", 0.05)])
def test_division_by_small_values_and_softmax_over_many_stay_in_float(
    name, most, special_images, tmp_path, torch_predict, tflite_predict
):
    network, path = build_special(name), tmp_path / "net.tflite"
    Conversion(network, SPEC).write(path, precision=Precision.INT8, calibration=special_images)
    expected = np.concatenate([torch_predict(network)(image[None]) for image in special_images])
    assert np.abs(tflite_predict(path)(special_images) - expected).max() < most * np.ptp(expected)


def test_division_by_what_a_layer_gives_runs_even_where_that_is_rounded_to_zero(
    special_images, tmp_path, tflite_predict
):
    network = SpecialNetwork(Applied(lambda x: torch.where(x.abs() > 0.1, 1 / x, x))).eval()
    Conversion(network, SPEC).write(tmp_path / "net.tflite", precision=Precision.INT8, calibration=special_images)
    assert np.isfinite(tflite_predict(tmp_path / "net.tflite")(special_images)).all()


@pytest.mark.parametrize("name", [*MASKED_LAYERS, "criss-cross attention", "rotary and causal attention"])
def test_masks_leave_the_scores_their_steps(name, special_images, tmp_path, torch_predict, tflite_predict):
    network, path = build_special(name), tmp_path / "net.tflite"
    Conversion(network, SPEC).write(path, precision=Precision.INT8, calibration=special_images)
    expected = np.concatenate([torch_predict(network)(image[None]) for image in special_images])
    assert np.abs(tflite_predict(path)(special_images) - expected).max() < 0.03 * np.ptp(expected)
