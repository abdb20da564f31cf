from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from torchseg.models import build_model, fold_branches
from torchseg.models.branched_conv import BranchedConv
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=32, width=48, classes=("a", "b", "c"))


@given(st.integers(1, 6), st.integers(1, 6), st.booleans(), st.integers(0, 2**31 - 1))
def test_three_branches_are_one_convolution(inputs, outputs, bias, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        branched, features = BranchedConv(inputs, outputs, bias=bias), torch.randn(2, inputs, 5, 7)
    single = branched.folded()
    assert isinstance(single, nn.Conv2d)
    assert torch.allclose(single(features), branched(features), atol=1e-5)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_folded_network_computes_the_same_to_1e_5(batch_norm):
    arguments = {"base_width": 4, "batch_norm": batch_norm}
    network = build_model("multiscale_unet", arguments, SPEC).train()
    images = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for _ in range(3):  # statistics of batch norm that are not those of a fresh network
            network(images)
        logits = network.eval()(images)
        folded = copy.deepcopy(network)
        assert fold_branches(folded) == 18  # two in the stem, in each of four encoder and four decoder levels
        assert (folded(images) - logits).abs().max() <= 1e-5 * logits.abs().max()
    plain = build_model("multiscale_unet", arguments | {"layers": "plain"}, SPEC)
    plain.load_state_dict(folded.state_dict())
    assert not folded.training


def test_a_network_without_branches_stays_as_it_is():
    network = build_model("small_unet", {}, SPEC)
    before = copy.deepcopy(network.state_dict())
    assert fold_branches(network) == 0
    assert all(torch.equal(weight, before[name]) for name, weight in network.state_dict().items())
