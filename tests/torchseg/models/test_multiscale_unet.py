from __future__ import annotations

import pytest
import torch

from torchseg.models import build_model, multiply_adds
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=64, width=64, classes=("a", "b", "c"))


def test_every_decoder_level_hears_every_encoder_level():
    network = build_model("multiscale_unet", {"base_width": 4, "batch_norm": False}, SPEC)
    scales: list[torch.Tensor] = []
    for block in (network.stem, *network.encode):
        block.register_forward_hook(lambda _, __, output: scales.append(output))
    decoded: list[torch.Tensor] = []
    for block in network.decode:
        block.register_forward_hook(lambda _, inputs, __: decoded.append(inputs[0]))
    network(torch.randn(1, 3, 64, 64))
    assert len(scales) == 5
    assert len(decoded) == 4
    for joined in decoded:
        heard = torch.autograd.grad(joined.sum(), scales, retain_graph=True)
        assert all(gradient.abs().max() > 0 for gradient in heard)


def test_the_student_is_ten_times_cheaper_than_its_teacher():
    teacher, student = (
        multiply_adds(build_model(name, {}, SPEC), SPEC) for name in ("multiscale_unet", "multiscale_student")
    )
    assert teacher >= 10 * student


def test_unknown_layers_are_refused():
    with pytest.raises(ValueError, match="give one of branched, plain, depthwise"):
        build_model("multiscale_unet", {"layers": "dense"}, SPEC)
