"""Every network is compressed the same way: zeros, shared values per channel and per tensor, fewer channels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from torchseg.checkpoint import Card, load_checkpoint, save_checkpoint
from torchseg.compress import (
    ChannelPruneConfig,
    ClusterConfig,
    PruneConfig,
    Pruning,
    ScheduleConfig,
    cluster_weights,
    model_ledger,
    prune_channels,
    strip_clustering,
    total,
)
from torchseg.models import MODELS, build_model
from torchseg.pipeline.stages.compression import folded, unbranched

pytestmark = pytest.mark.filterwarnings("ignore:.*encoders are deprecated:DeprecationWarning")
SHALLOW = {"encoder_depth": 3, "decoder_channels": [16, 16, 16]}
NETWORKS = {name: {"base_width": 16, "depth": 1} for name in sorted(MODELS)} | {
    "smp:Unet:mobilenet_v2": SHALLOW,
    "smp:DeepLabV3Plus:resnet18": {"encoder_depth": 4, "decoder_channels": 32, "decoder_atrous_rates": [1, 2, 3]},
}


@pytest.fixture(params=NETWORKS)
def trained(request, spec):
    """A network as compression starts from it, and its card; batch norm has lived."""
    arguments = NETWORKS[request.param]
    network = build_model(request.param, arguments, spec)
    generator = torch.Generator().manual_seed(0)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return unbranched(network.eval(), Card(builder=request.param, arguments=arguments, spec=spec, stage="student"))


def _loaded(network, card, folder):
    save_checkpoint(network, card, folder)
    return load_checkpoint(folder)[0]


def test_compresses_without_special_cases(trained, images, tmp_path):
    network, card = trained
    logits = network(images[:1]).detach()

    narrow = prune_channels(network, images[:1], ChannelPruneConfig()).model
    assert torch.equal(_loaded(narrow, replace(card, resized=True), tmp_path)(images), narrow(images))

    plain, plain_card = folded(network, card)
    assert not any(isinstance(module, nn.BatchNorm2d) and _runs(module, plain, images) for module in plain.modules())
    assert (plain(images[:1]) - logits).abs().max() <= 1e-5 * logits.abs().max()
    cluster_weights(plain, ClusterConfig(clusters=3, start="linear", per="tensor"))
    strip_clustering(plain)
    assert total(model_ledger(plain)).unique_values == 3
    assert torch.equal(_loaded(plain, plain_card, tmp_path)(images), plain(images))

    once = ScheduleConfig(mode="one_shot", begin="0", end="1")
    Pruning(network, PruneConfig(sparsity=0.5, schedule=once), epochs=1, steps_per_epoch=1).after_step(0, network)
    assert total(model_ledger(network)).sparsity == pytest.approx(0.5, abs=0.01)
    cluster_weights(network, ClusterConfig(clusters=3, start="linear", per="channel"))
    strip_clustering(network)
    assert total(model_ledger(network)).unique_per_channel == 3
    assert total(model_ledger(network)).sparsity >= 0.49


def _runs(module, network, images):
    """Whether the network uses this part of it."""
    calls = []
    hook = module.register_forward_hook(lambda *call: calls.append(call))
    network(images[:1])
    hook.remove()
    return bool(calls)
