from __future__ import annotations

import copy
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import nn

from torchseg.compress import PruneConfig, Pruning, ScheduleConfig
from torchseg.models import build_model

ONE_SHOT = ScheduleConfig(mode="one_shot")
GRADUAL = ScheduleConfig(end="75%", frequency=1)


def _one_shot(network, *, sparsity=0.8, **settings):
    config = PruneConfig(sparsity=sparsity, schedule=ONE_SHOT, **settings)
    pruning = Pruning(network, config, epochs=1, steps_per_epoch=1)
    pruning.after_step(0, network)
    return pruning


def _gradual(network, *, sparsity=0.8, **settings):
    config = PruneConfig(sparsity=sparsity, schedule=GRADUAL, **settings)
    return Pruning(network, config, epochs=5, steps_per_epoch=4)


def _zeros(network, name):
    return int((network.get_submodule(name).weight == 0).sum())


def _size(network, name):
    return network.get_submodule(name).weight.numel()


@pytest.mark.parametrize("sparsity", [0.5, 0.6, 0.8, 0.9])
def test_every_layer_meets_its_target_to_within_one_weight(network, sparsity):
    for name in _one_shot(network, sparsity=sparsity).targets:
        assert abs(_zeros(network, name) - sparsity * _size(network, name)) < 1, name


def test_default_prunes_convolutions_transposed_convolutions_and_linear_layers(network):
    network.extra = nn.Linear(10, 10)
    pruning = _one_shot(network, sparsity=0.5)
    for name in ("stem.0", "up.0.project", "gate.0.skip", "extra"):
        assert name in pruning.targets
        assert _zeros(network, name) == _size(network, name) // 2


@given(st.integers(0, 2**31), st.integers(1, 200), st.floats(0, 0.99))
def test_the_smallest_weights_go(seed, count, sparsity):
    network = nn.Sequential(nn.Linear(count, 1, bias=False))
    torch.nn.init.normal_(network[0].weight, generator=torch.Generator().manual_seed(seed))
    before = network[0].weight.detach().abs().clone()
    _one_shot(network, sparsity=sparsity)
    gone = network[0].weight == 0
    assert abs(int(gone.sum()) - sparsity * count) < 1
    if gone.any():
        assert before[gone].max() <= before[~gone].min()


def test_an_all_zero_layer_can_be_pruned():
    network = nn.Sequential(nn.Linear(8, 8))
    nn.init.zeros_(network[0].weight)
    _one_shot(network, sparsity=0.5)
    assert _zeros(network, "0") == 64


def test_sparsity_zero_changes_nothing(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    _one_shot(network, sparsity=0.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_layer_can_have_its_own_target_and_others_be_left_out(network):
    _one_shot(network, sparsity=0.8, layers={"decode.0.3": 0.25}, exclude=("head", "gate"))
    assert _zeros(network, "decode.0.3") == math.floor(0.25 * _size(network, "decode.0.3"))
    assert _zeros(network, "head") == _zeros(network, "gate.0.skip") == 0
    assert _zeros(network, "decode.0.0") == math.floor(0.8 * _size(network, "decode.0.0"))


def test_training_meets_the_target_and_keeps_every_zero(network, train):
    pruning = _gradual(network, sparsity=0.8)
    pruning.after_step(0, network)
    train(network, pruning, last=15)
    assert pruning.can_checkpoint
    gone = {name: network.get_submodule(name).weight == 0 for name in pruning.targets}
    train(network, pruning, first=16, last=20)
    for name, dead in gone.items():
        assert torch.equal(network.get_submodule(name).weight == 0, dead)
        assert abs(int(dead.sum()) - 0.8 * dead.numel()) < 1


def test_the_share_of_zeros_never_falls_on_the_way(network, train):
    pruning, seen = _gradual(network, sparsity=0.9), []
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for step in range(1, 16):
        train(network, pruning, first=step, last=step, optimizer=optimizer)
        seen.append(_zeros(network, "decode.0.0"))
        assert pruning.can_checkpoint == (step == 15)
    assert seen == sorted(seen)
    assert len(set(seen)) > 5


def test_an_optimizer_made_before_pruning_still_moves_the_weights(network, train):
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    parameters = list(network.parameters())
    pruning = _one_shot(network, sparsity=0.5)
    before = network.head.weight.detach().clone()
    train(network, pruning, last=2, optimizer=optimizer)
    assert all(old is new for old, new in zip(parameters, network.parameters(), strict=True))
    assert not torch.equal(before, network.head.weight)


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: torch.optim.AdamW(parameters, lr=1e-2, amsgrad=True),
        lambda parameters: torch.optim.SGD(parameters, lr=1e-2, momentum=0.9, nesterov=True),
    ],
)
def test_momentum_revives_no_zero(network, train, make):
    optimizer = make(network.parameters())
    pruning = Pruning(
        network,
        PruneConfig(sparsity=0.8, schedule=ScheduleConfig(mode="one_shot", begin=5)),
        epochs=1,
        steps_per_epoch=20,
    )
    train(network, pruning, last=6, optimizer=optimizer)
    for name, keep in pruning.keep.items():
        weight = network.get_submodule(name).weight
        assert not weight[~keep].any()
        for moment in optimizer.state[weight].values():
            assert moment.shape != weight.shape or not moment[~keep].any()


def test_a_wrapped_optimizer_is_seen_through(network, train):
    class Wrapper:
        def __init__(self, optimizer):
            self.optimizer, self.state = optimizer, {}

        def __getattr__(self, name):
            return getattr(self.optimizer, name)

    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    pruning = _gradual(network)
    train(network, pruning, last=3, optimizer=Wrapper(optimizer))
    weight = network.head.weight
    assert not optimizer.state[weight]["exp_avg"][~pruning.keep["head"]].any()


@pytest.mark.parametrize("stopped", [7, 16])  # on the way to the target, and where the masks stay as they are
def test_resuming_in_the_middle_gives_the_same_weights(spec, train, stopped):
    schedule = ScheduleConfig(initial=0.5, end="75%", frequency=1)

    def start():
        network = build_model("small_unet", {"base_width": 4, "depth": 1}, spec)
        pruning = Pruning(network, PruneConfig(sparsity=0.8, schedule=schedule), epochs=5, steps_per_epoch=4)
        return network, pruning, torch.optim.AdamW(network.parameters(), lr=1e-2)

    whole, pruning, optimizer = start()
    train(whole, pruning, last=18, optimizer=optimizer)

    first, pruning, optimizer = start()
    train(first, pruning, last=stopped, optimizer=optimizer)
    saved = load(save(pruning.state_dict()))
    weights, moments = first.state_dict(), optimizer.state_dict()

    second, pruning, optimizer = start()
    second.load_state_dict(weights)
    optimizer.load_state_dict(moments)
    pruning.load_state_dict(saved)
    pruning.after_step(0, second, optimizer)
    train(second, pruning, first=stopped + 1, last=18, optimizer=optimizer)
    assert all(torch.equal(tensor, whole.state_dict()[name]) for name, tensor in second.state_dict().items())


def test_masks_are_written_into_weights_that_come_from_elsewhere(network):
    pruning = _one_shot(network, sparsity=0.6)
    nn.init.ones_(network.head.weight)
    pruning.apply(network)
    assert _zeros(network, "head") == math.floor(0.6 * _size(network, "head"))


def test_nothing_of_nni_stays_in_the_network(network):
    kinds = [type(module) for module in network.modules()]
    names = list(network.state_dict())
    _one_shot(network)
    assert [type(module) for module in network.modules()] == kinds
    assert list(network.state_dict()) == names
    assert not any(hasattr(module, "_nni_wrapper") for module in network.modules())


def test_the_plan_names_layers_with_a_target_of_their_own(network):
    text = _gradual(network, sparsity=0.8, layers={"head": 0.5}).describe()
    assert "zeros reach 80% at step 15 of 20" in text
    assert "head: 50% at the end" in text


def test_masks_of_another_network_are_refused(network, spec):
    saved = _one_shot(network).state_dict()
    other = _gradual(build_model("unet", {"depth": 1, "base_width": 4}, spec))
    with pytest.raises(ValueError, match=r"the saved pruning has masks of .* that this network does not fit"):
        other.load_state_dict(saved)
    with pytest.raises(ValueError, match="the saved pruning has no step"):
        other.load_state_dict({})


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 80.0, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(sparsity):
    with pytest.raises(ValueError, match=f"sparsity is {sparsity}; give a share in"):
        PruneConfig(sparsity=sparsity)
    with pytest.raises(ValueError, match=f"sparsity of layer 'head' is {sparsity}"):
        PruneConfig(layers={"head": sparsity})


def test_an_unknown_layer_is_answered_with_near_names(network):
    with pytest.raises(ValueError, match=r"no layer 'haed' \(did you mean 'head'\?\)"):
        _gradual(network, layers={"haed": 0.5})


def test_leaving_out_everything_is_refused():
    with pytest.raises(ValueError, match="nothing to prune"):
        _gradual(nn.Sequential(nn.Linear(2, 2)), exclude=("0",))


@pytest.mark.slow
def test_nni_comes_late_says_nothing_and_leaves_tensorflow_alone():
    pytest.importorskip("nni")
    code = (
        "import sys; from torch import nn; from torchseg.compress import *; net = nn.Sequential(nn.Linear(4, 4));"
        "assert not {'nni', 'tensorflow', 'kmeans1d'} & set(sys.modules);"
        "pruning = Pruning(net, PruneConfig(schedule=ScheduleConfig(mode='one_shot')), epochs=1, steps_per_epoch=1);"
        "pruning.after_step(0, net); assert 'nni' in sys.modules and 'tensorflow' not in sys.modules"
    )
    output = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True)
    assert (output.returncode, output.stdout, output.stderr) == (0, "", "")


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.8])
def test_without_nni_the_same_weights_go(sparsity, network, monkeypatch):
    pytest.importorskip("nni")
    network.to(memory_format=torch.channels_last)
    network.stem[0].weight.data[0] = 0.25  # as large as one another
    masks = _one_shot(copy.deepcopy(network), sparsity=sparsity).keep
    monkeypatch.setitem(sys.modules, "nni.compression.pruning", None)
    alone = _one_shot(network, sparsity=sparsity).keep
    assert masks.keys() == alone.keys()
    assert all(torch.equal(mask, alone[name]) for name, mask in masks.items())
