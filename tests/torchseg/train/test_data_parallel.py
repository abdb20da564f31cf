from __future__ import annotations

import pytest
import torch
from torch import nn

from torchseg.compress import Int8Simulation
from torchseg.data import Batch
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train.data_parallel import DataParallel, can_split_batch, replica
from torchseg.train.threads import thread_pool

SPEC = ImageSpec(height=8, width=8, classes=("sky", "sea"))
SHAPE = (3, 8, 8)


def _network(**arguments):
    return build_model("unet", {"base_width": 4, "depth": 1} | arguments, SPEC, seed=1).train()


def _batch(size=4):
    pictures = torch.randn(size, *SHAPE, generator=torch.Generator().manual_seed(2))
    masks = (pictures.sum(1) > 0).to(torch.uint8)
    return Batch(pictures, masks, torch.ones(size, dtype=torch.bool), torch.arange(size))


def _loss(network, batch):
    return nn.functional.cross_entropy(network(batch.pictures), batch.masks.long())


def _gradients(network):
    return [parameter.grad.clone() for parameter in network.parameters()]


@pytest.mark.parametrize("size", [4, 5])
def test_without_batch_norm_the_halves_give_the_gradient_of_the_whole(size):
    network = _network(batch_norm=False)
    loss = DataParallel([network, replica(network)], torch.Tensor.backward).learn(_loss, _batch(size))
    halved = _gradients(network)
    network.zero_grad()
    whole = _loss(network, _batch(size))
    whole.backward()
    assert torch.allclose(loss, whole)
    for mine, theirs in zip(halved, _gradients(network), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


STATISTICS = ("stem.1.running_mean", "stem.1.running_var")


def test_batch_norm_sees_half_of_the_pictures_and_the_statistics_meet_in_their_mean():
    network, batch = _network(), _batch()
    replicas = DataParallel([network, replica(network)], torch.Tensor.backward)
    replicas.learn(_loss, batch)
    halves = []
    for pictures, each in zip(batch.pictures.chunk(2), replicas.networks, strict=True):
        alone = _network()
        alone(pictures)
        halves.append(dict(alone.named_buffers()))
        assert all(torch.allclose(dict(each.named_buffers())[name], halves[-1][name]) for name in STATISTICS)
    replicas.sync_batch_norm_stats()
    for name in STATISTICS:
        assert not torch.allclose(halves[0][name], halves[1][name])
        for each in replicas.networks:
            assert torch.allclose(dict(each.named_buffers())[name], (halves[0][name] + halves[1][name]) / 2)


def test_replicas_whose_statistics_met_after_every_step_stay_equal():
    network = _network()
    replicas = DataParallel([network, replica(network)], torch.Tensor.backward)
    for _ in range(3):
        replicas.learn(_loss, _batch())
        replicas.sync_batch_norm_stats()
        one, other = ([*each.buffers()] for each in replicas.networks)
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))
    assert dict(network.named_buffers())["stem.1.num_batches_tracked"] == 3


def test_three_replicas_meet_in_the_mean_of_all():
    network = _network()
    replicas = DataParallel([network, replica(network), replica(network)], torch.Tensor.backward)
    replicas.learn(_loss, _batch(6))
    each = [dict(net.named_buffers())["stem.1.running_mean"].clone() for net in replicas.networks]
    replicas.sync_batch_norm_stats()
    for net in replicas.networks:
        assert torch.allclose(dict(net.named_buffers())["stem.1.running_mean"], sum(each) / 3, atol=1e-6)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_one_network_or_one_without_batch_norm_has_nothing_to_average(batch_norm):
    network = _network(batch_norm=batch_norm)
    before = [tensor.clone() for tensor in network.buffers()]
    networks = [network] if batch_norm else [network, replica(network)]
    DataParallel(networks, torch.Tensor.backward).sync_batch_norm_stats()
    assert all(torch.equal(old, new) for old, new in zip(before, network.buffers(), strict=True))


def test_each_micro_batch_takes_its_own_masks_seeds_and_targets_along():
    """With as many images without masks as with, they are apart; the targets go with the former."""
    network, batch = _network(), _batch()
    labelled, targets = torch.tensor([True, True, False, False]), torch.arange(2.0).view(2, 1, 1, 1)
    batch, seen = batch._replace(labelled=labelled, targets=targets), []

    def loss(network, part):
        seen.append(part)
        return _loss(network, part)

    DataParallel([network, replica(network)], torch.Tensor.backward).learn(loss, batch)
    assert [part.seeds.tolist() for part in seen] == [[0, 1], [2, 3]]
    assert [part.labelled.tolist() for part in seen] == [[True, True], [False, False]]
    assert [len(part.targets) for part in seen] == [0, 2]
    assert torch.equal(seen[1].targets, targets)
    assert torch.equal(seen[1].masks, batch.masks[2:])


def test_beside_each_other_is_bit_for_bit_one_after_the_other():
    results = []
    for together in (False, True):
        network = _network()
        with thread_pool(2) as pool:
            replicas = DataParallel([network, replica(network)], torch.Tensor.backward, pool.map if together else map)
            gradients = []
            for _ in range(8):
                network.zero_grad()
                replicas.learn(_loss, _batch())
                gradients += _gradients(network)
        replicas.sync_batch_norm_stats()
        results.append([*gradients, *network.buffers()])
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


def test_what_changes_a_weight_changes_the_twins_too():
    network = _network()
    other = replica(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert not other(_batch().pictures).any()


def test_a_network_without_chance_and_memory_may_be_halved_from_four_pictures_on():
    assert can_split_batch(_network(), 4, SHAPE)
    assert not can_split_batch(_network(), 3, SHAPE)


def test_dropout_draws_numbers_in_an_order_and_is_not_halved():
    before = torch.get_rng_state()
    assert not can_split_batch(_network(dropout=0.5), 4, SHAPE)
    assert torch.equal(before, torch.get_rng_state())


def test_a_network_that_remembers_more_than_batch_statistics_is_not_halved():
    class Counting(nn.Conv2d):
        def __init__(self):
            super().__init__(3, 2, 1)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, images):
            self.calls += 1
            return super().forward(images)

    assert not can_split_batch(Counting(), 4, SHAPE)


def test_the_question_leaves_the_network_as_it_was():
    network = _network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    can_split_batch(network, 4, SHAPE)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_simulated_int8_follows_the_ranges_of_whole_batches():
    network = _network().eval()
    Int8Simulation(network).observe(_batch(8).pictures)
    assert not can_split_batch(network.train(), 4, SHAPE)
