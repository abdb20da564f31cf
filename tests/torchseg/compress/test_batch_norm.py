from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from torchseg.compress import ClusterConfig, cluster_weights, fold_batch_norm, model_ledger, strip_clustering, total
from torchseg.models import MODELS, build_model, fold_branches, known_arguments

U_NETS = [name for name, builder in MODELS.items() if "upsampling" in known_arguments(builder)]


def _lived_in(network):
    """Batch norm with statistics, scales and shifts as a training leaves them; one channel has died."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            for tensor in (module.running_var, module.weight.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            module.weight.data[0] = 0
    return network.eval()


@pytest.mark.parametrize("upsampling", ["bilinear", "transposed"])
@pytest.mark.parametrize("name", U_NETS)
def test_folding_changes_no_logit_and_gives_the_network_without_batch_norm(name, upsampling, spec, images):
    arguments = {"base_width": 4, "depth": 2, "upsampling": upsampling, "dropout": 0.1}
    network = _lived_in(build_model(name, arguments, spec))
    logits = network(images)
    assert fold_batch_norm(network) == 10
    assert (network(images) - logits).abs().max() < 1e-5 * logits.abs().max()
    without = build_model(name, arguments | {"batch_norm": False}, spec).eval()
    without.load_state_dict(network.state_dict())
    assert torch.equal(without(images), network(images))


@pytest.mark.parametrize("name", sorted(set(MODELS) - set(U_NETS)))
def test_branches_and_separable_convolutions_are_folded_to_the_last_norm(name, spec, images):
    known = known_arguments(MODELS[name])
    arguments = {key: value for key, value in {"base_width": 4, "depth": 2, "cut": 8}.items() if key in known}
    network = _lived_in(build_model(name, arguments, spec))
    logits = network(images)
    plain = {"layers": "plain"} if fold_branches(network) else {}
    # Without images, a batch norm must follow its convolution in a list; that of timm's stem does not.
    assert fold_batch_norm(network, images if name == "lite_student" else None) > 0
    assert (network(images) - logits).abs().max() < 1e-5 * logits.abs().max()
    if "batch_norm" in known:
        without = build_model(name, arguments | plain | {"batch_norm": False}, spec).eval()
        without.load_state_dict(network.state_dict())


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolutions_and_norms_without_scale_are_folded(groups):
    network = nn.Sequential(nn.ConvTranspose2d(4, 6, 2, groups=groups), nn.BatchNorm2d(6, affine=False)).eval()
    network[1].running_mean.normal_(generator=torch.Generator().manual_seed(0))
    image = torch.ones(1, 4, 3, 3)
    before = network(image)
    assert fold_batch_norm(network) == 1
    assert torch.allclose(network(image), before, atol=1e-6)


def test_a_network_without_batch_norm_stays_as_it_is(spec):
    assert fold_batch_norm(build_model("unet", {"batch_norm": False}, spec).eval()) == 0


def test_zeros_stay_zero(network):
    network.stem[0].weight.data[:, 0] = 0
    fold_batch_norm(_lived_in(network))
    assert not network.stem[0].weight[:, 0].any()


def test_folding_breaks_values_shared_by_a_tensor_so_fold_first_or_share_per_channel(network):
    _lived_in(network)
    folded = copy.deepcopy(network)
    fold_batch_norm(folded)
    cluster_weights(folded, ClusterConfig(clusters=4, per="tensor"))
    strip_clustering(folded)
    assert total(model_ledger(folded)).unique_values == 4

    for per in ("tensor", "channel"):
        clustered = copy.deepcopy(network)
        cluster_weights(clustered, ClusterConfig(clusters=4, per=per))
        strip_clustering(clustered)
        fold_batch_norm(clustered)
        assert total(model_ledger(clustered)).unique_values > 4
        assert total(model_ledger(clustered)).unique_per_channel == 4


def test_a_network_in_training_mode_is_refused(network):
    with pytest.raises(ValueError, match="in training mode, where batch norm depends on the batch"):
        fold_batch_norm(network.train())


def test_a_batch_norm_without_a_convolution_is_refused_and_nothing_is_folded():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.ReLU(), nn.BatchNorm2d(1)).eval()
    with pytest.raises(ValueError, match="batch norm '3' has no convolution before it"):
        fold_batch_norm(network)
    assert len(network) == 4


def test_a_batch_norm_without_statistics_is_refused():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, track_running_stats=False)).eval()
    with pytest.raises(ValueError, match="batch norm '1' keeps no running statistics"):
        fold_batch_norm(network)


class _Attributes(nn.Module):
    """A convolution and its norm by name, as in a ResNet; `order` says what the norm reads."""

    def __init__(self, order="convolution first"):
        super().__init__()
        self.order = order
        self.stem = nn.Conv2d(3, 3, 1)
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        self.norm.running_mean.add_(1)

    def forward(self, images):
        images = self.stem(images)
        if self.order == "norm first":
            return self.conv(torch.relu(self.norm(torch.relu(images))))
        features = self.conv(images)
        if self.order == "read twice":
            return self.norm(features) + features
        if self.order == "convolved twice":
            return self.norm(self.conv(features))
        return torch.relu(self.norm(features))


def test_an_example_shows_what_belongs_together_where_names_do_not(images):
    network = _Attributes().eval()
    before = network(images)
    with pytest.raises(ValueError, match="batch norm 'norm' has no convolution before it"):
        fold_batch_norm(network)
    assert fold_batch_norm(network, images) == 1
    assert isinstance(network.norm, nn.Identity)
    assert torch.allclose(network(images), before, atol=1e-6)


@pytest.mark.parametrize("order", ["norm first", "read twice", "convolved twice"])
def test_a_norm_that_cannot_be_folded_is_seen(order, images):
    with pytest.raises(ValueError, match="batch norm 'norm' has no convolution before it"):
        fold_batch_norm(_Attributes(order).eval(), images)
