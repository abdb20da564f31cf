from __future__ import annotations

import pytest
import torch
from torch import nn

from tf_bridge.onnx.export import export_onnx
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model, randomize_norms
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=16, width=16, classes=("a", "b", "c"))


def test_batch_norms_get_values_of_their_own_that_the_seed_decides():
    first, again, other = (nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)) for _ in range(3))
    before = torch.random.get_rng_state()
    for network, seed in ((first, 1), (again, 1), (other, 2)):
        randomize_norms(network, seed=seed)
    for name in ("weight", "bias", "running_mean", "running_var"):
        values = getattr(first[1], name)
        assert len(values.unique()) == 4
        assert torch.equal(values, getattr(again[1], name))
        assert not torch.equal(values, getattr(other[1], name))
    assert torch.equal(torch.random.get_rng_state(), before)
    randomize_norms(nn.BatchNorm2d(4, affine=False, track_running_stats=False))


@pytest.mark.slow
def test_the_file_has_the_size_of_any_trained_network(tmp_path):
    images = SPEC.prepare(torch.randint(0, 255, (4, 16, 16, 3), dtype=torch.uint8).numpy())
    sizes = []
    for seed in (1, 2):
        network = build_model("small_unet", {"base_width": 2, "depth": 1}, SPEC, seed=seed).eval()
        randomize_norms(network, seed=seed)
        export_onnx(network, SPEC, tmp_path / "net.onnx", precision=Precision.INT8, calibration=images)
        sizes.append((tmp_path / "net.onnx").stat().st_size)
    assert abs(sizes[0] - sizes[1]) < 20
