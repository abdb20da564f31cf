from __future__ import annotations

import copy
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

import torchseg.compress.channel_pruning as channel_pruning
from torchseg.compress import ChannelPruneConfig, prune_channels
from torchseg.models import MODELS, build_model, known_arguments, multiply_adds

U_NETS = [name for name, builder in MODELS.items() if "upsampling" in known_arguments(builder)]


def _network(name, spec, **arguments):
    """A network whose batch norms have lived; a silent channel is then silent only if its shift is zero too."""
    known = known_arguments(MODELS[name])
    small = {key: value for key, value in {"base_width": 16, "depth": 2, "cut": 8}.items() if key in known}
    network = build_model(name, small | arguments, spec)
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network.eval()


def _loss(network):
    return network(torch.ones(2, 3, 16, 16)).square().mean()


@pytest.mark.parametrize("importance", ["magnitude", "batch_norm", "taylor"])
@pytest.mark.parametrize("upsampling", ["bilinear", "transposed"])
@pytest.mark.parametrize("name", U_NETS)
def test_removed_and_silent_channels_give_the_same_logits(name, upsampling, importance, spec, images):
    network = _network(name, spec, upsampling=upsampling)
    before = copy.deepcopy(network.state_dict())
    pruned = prune_channels(network, images, ChannelPruneConfig(importance=importance), loss=_loss)
    assert pruned.difference <= 1e-4
    assert pruned.model(images).shape == network(images).shape
    assert pruned.widths["stem.0"] == (16, 8)
    assert multiply_adds(pruned.model, spec) < 0.4 * multiply_adds(network, spec)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize("name", sorted(set(MODELS) - set(U_NETS)))
def test_branches_depthwise_layers_and_residuals_lose_channels_too(name, spec, images):
    network = _network(name, spec)
    pruned = prune_channels(network, images, ChannelPruneConfig())
    assert multiply_adds(pruned.model, spec) < 0.5 * multiply_adds(network, spec)


def test_at_half_the_channels_the_attention_network_loses_seven_tenths_of_its_multiply_adds(spec, images):
    network = build_model("attention_unet", {"base_width": 32, "depth": 3}, spec).requires_grad_(False)
    pruned = prune_channels(network, images, ChannelPruneConfig(share=0.5))
    assert multiply_adds(pruned.model, spec) <= 0.3 * multiply_adds(network, spec)
    assert pruned.widths["stem.3"] == (32, 16)
    assert not any(parameter.requires_grad for parameter in pruned.model.parameters())


@pytest.mark.parametrize("share", [0.2, 0.3, 0.6, 0.9])
def test_widths_are_multiples_of_eight(share, spec, images):
    network = build_model("unet", {"base_width": 32, "depth": 2}, spec)
    widths = prune_channels(network, images, ChannelPruneConfig(share=share)).widths
    for before, after in widths.values():
        assert after % 8 == 0
        assert abs(after - (1 - share) * before) <= 8


def test_the_least_important_channels_go():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1))
    nn.init.ones_(network[1].weight)
    network[0].weight.data = torch.tensor([5.0, 1.0, 4.0, 2.0])[:, None, None, None].expand(4, 3, 1, 1).clone()
    pruned = prune_channels(network, torch.ones(1, 3, 2, 2), ChannelPruneConfig(round_to=1))
    assert pruned.model[0].weight[:, 0, 0, 0].tolist() == [5, 4]


def test_taylor_importance_follows_the_loss():
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 2, 1, bias=False))
    network[0].weight.data = torch.tensor([3.0, 1.0]).reshape(2, 1, 1, 1)
    network[1].weight.data = torch.tensor([[0.0, 1.0], [3.0, 0.0]]).reshape(2, 2, 1, 1)
    config = ChannelPruneConfig(round_to=1, importance="taylor")
    pruned = prune_channels(
        network, torch.ones(1, 1, 2, 2), config, loss=lambda net: net(torch.ones(1, 1, 2, 2))[:, 0].sum()
    )
    assert pruned.model[0].weight.flatten().tolist() == [1]


class _Branches(nn.Module):
    """Two scales of the same features, summed, beside a gate for each channel."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.near = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.far = nn.Conv2d(16, 16, 3, padding=2, dilation=2)
        self.gate = nn.Conv2d(16, 16, 1)
        self.head = nn.Conv2d(16, 3, 1)

    def forward(self, images):
        features = functional.relu(self.stem(images))
        both = self.near(features) + self.far(features)
        return self.head(both * torch.sigmoid(self.gate(both.mean((2, 3), keepdim=True))))


def test_layers_tied_by_a_sum_or_a_gate_per_channel_lose_the_same_channels(images):
    pruned = prune_channels(_Branches(), images, ChannelPruneConfig())
    assert set(pruned.widths) == {"stem", "near.0", "far", "gate"}
    assert set(pruned.widths.values()) == {(16, 8)}


def test_a_left_out_layer_keeps_its_channels_and_so_do_those_tied_to_it(images):
    widths = prune_channels(_Branches(), images, ChannelPruneConfig(exclude=("far",))).widths
    assert set(widths) == {"stem"}


def test_a_shrunk_network_can_be_trained(spec, images):
    pruned = prune_channels(
        build_model("unet", {"base_width": 16, "depth": 1}, spec), images, ChannelPruneConfig()
    ).model
    assert all(parameter.grad is None for parameter in pruned.parameters())
    pruned.train()(images).sum().backward()
    assert all(parameter.grad is not None for parameter in pruned.parameters())


def test_a_wrong_removal_is_found(spec, images, monkeypatch):
    monkeypatch.setattr(channel_pruning, "_silence", lambda layer, channels: None)
    with pytest.raises(ValueError, match="without its silent channels the network gives other logits"):
        prune_channels(_network("unet", spec), images, ChannelPruneConfig())


def test_a_network_too_narrow_to_shrink_is_refused(spec, images):
    with pytest.raises(ValueError, match="no layer has more than 8 channels to spare; give a smaller round_to"):
        prune_channels(build_model("unet", {"base_width": 4, "depth": 1}, spec), images, ChannelPruneConfig())


def test_taylor_without_a_loss_is_refused(spec, images):
    with pytest.raises(ValueError, match="taylor importance needs a loss on real batches"):
        prune_channels(_network("unet", spec), images, ChannelPruneConfig(importance="taylor"))


def test_an_unknown_layer_is_answered_with_near_names(spec, images):
    with pytest.raises(ValueError, match=r"no layer 'haed' \(did you mean 'head'\?\)"):
        prune_channels(_network("unet", spec), images, ChannelPruneConfig(exclude=("haed",)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 0.0}, r"share is 0.0; give the share of channels"),
        ({"share": 1.0}, r"share is 1.0"),
        ({"importance": "luck"}, "importance is 'luck'; choose from magnitude"),
        ({"round_to": 0}, "round_to is 0"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ChannelPruneConfig(**settings)


def test_a_missing_torch_pruning_is_named(spec, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(ImportError, match="removing channels needs torch-pruning: pip install"):
        prune_channels(_network("unet", spec), images, ChannelPruneConfig())


class _Concatenation(nn.Module):
    """Strong and weak features side by side, seen by one depthwise layer."""

    def __init__(self):
        super().__init__()
        self.strong, self.weak = nn.Conv2d(3, 16, 1), nn.Conv2d(3, 16, 1)
        self.weak.weight.data *= 1e-3
        self.depthwise, self.head = nn.Conv2d(32, 32, 1, groups=32), nn.Conv2d(32, 3, 1)
        for layer in (self.depthwise, self.head):  # every weak channel is less important than every strong one
            nn.init.constant_(layer.weight, 0.1)

    def forward(self, images):
        return self.head(self.depthwise(torch.cat([self.strong(images), self.weak(images)], dim=1)))


def test_a_concatenation_loses_channels_from_each_of_its_parts(images):
    widths = prune_channels(_Concatenation(), images, ChannelPruneConfig()).widths
    assert widths == {"strong": (16, 8), "weak": (16, 8), "depthwise": (32, 16)}
