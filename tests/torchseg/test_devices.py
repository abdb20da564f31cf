"""What trains must follow the device of its inputs. `meta` stands in for a GPU: it computes shapes and nothing else."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch.fx.experimental import _config
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from torchseg.compress import ClusterConfig, Int8Simulation, PruneConfig, Pruning, ScheduleConfig, cluster_weights
from torchseg.compress.channel_pruning import ChannelPruneConfig, _least
from torchseg.config.distillation import DistillationConfig
from torchseg.data import Batch
from torchseg.losses import SOFT_LOSSES
from torchseg.losses.segmentation import TERMS
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train import Teacher, distill_step
from torchseg.train.averaging import averaged_model

SPEC = ImageSpec(height=16, width=16, classes=("a", "b", "c"))
MOVES = {"aten._to_copy.default", "aten.copy_.default"}


class OneDevice(TorchDispatchMode):
    """Refuses an operation whose tensors lie on two devices; numbers in tensors without dimensions may."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor) and each.dim()]
        devices = sorted({each.device.type for each in tensors})
        if len(devices) > 1 and str(operator) not in MOVES:
            raise RuntimeError(f"{operator} mixes tensors on {' and '.join(devices)}")
        return operator(*args, **kwargs or {})


@pytest.fixture
def device(monkeypatch):
    """Device on which no value is known: every condition holds, and counting gives a tensor of the right shape."""
    count = torch.bincount

    def bincount(values, weights=None, minlength=0):
        if values.device.type != "meta":
            return count(values, weights, minlength)
        assert weights is None or weights.device == values.device
        return torch.empty(minlength, dtype=torch.int64 if weights is None else weights.dtype, device=values.device)

    monkeypatch.setattr(torch, "bincount", bincount)
    monkeypatch.setattr("torchseg.train.precision.forward_context", lambda *_: nullcontext())  # meta has no autocast
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda _: True)
    monkeypatch.setattr(torch.Tensor, "__int__", lambda _: 0)
    with _config.patch(meta_nonzero_assume_all_nonzero=True), OneDevice():
        yield torch.device("meta")


@pytest.fixture
def logits(device):
    return torch.empty(2, 3, 16, 16, device=device, requires_grad=True)


def network():
    return build_model("unet", {"base_width": 4, "depth": 2}, SPEC, seed=0)


def test_mixed_devices_are_refused(device):
    with pytest.raises(RuntimeError, match=r"cpu and meta|expected device"):
        torch.ones(3) * torch.ones(3, device=device)


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 3.0]])
def test_a_loss_lies_where_its_logits_lie(term, weights, logits, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda _: term != "lovasz")  # which leaves out classes if they lack
    mask = torch.empty(2, 16, 16, dtype=torch.int64, device=logits.device)
    loss = TERMS[term](logits, mask, 255, weights)
    loss.backward()
    assert loss.device == logits.grad.device == logits.device


@pytest.mark.parametrize("soft_loss", [*SOFT_LOSSES, "kl+dice"])
@pytest.mark.parametrize("remembers", [False, True])
def test_a_student_learns_where_it_lies(soft_loss, remembers, device):
    student, images = network().to(device), torch.empty(2, 3, 16, 16, device=device)
    masks = torch.empty(2, 16, 16, dtype=torch.uint8, device=device)
    batch = Batch(images, masks, torch.ones(2, dtype=torch.bool, device=device), torch.tensor([1, 2]))
    teacher = Teacher(network().to(device), caches_logits=remembers)
    step = distill_step(DistillationConfig(soft_loss=soft_loss), ignore_index=255)
    for _ in range(2):
        step(student, images, batch._replace(targets=teacher(images, batch.seeds))).backward()
    assert all(parameter.grad.device == device for parameter in student.parameters())


def test_a_moving_average_lies_where_its_network_lies(device):
    model = network().to(device)
    averaged = averaged_model(model, decay=0.9)
    for _ in range(3):
        averaged.update_parameters(model)
    assert all(tensor.device == device for tensor in averaged.module.state_dict().values())


@pytest.mark.parametrize("per", ["tensor", "channel"])
@pytest.mark.parametrize("gradient", ["sum", "mean"])
def test_shared_values_are_looked_up_and_reassigned_where_they_lie(per, gradient, device):
    model = network()
    with torch.utils._python_dispatch._disable_current_modes():
        clustering = cluster_weights(model, ClusterConfig(clusters=3, per=per, gradient=gradient, reassign_every=1))
    model.to(device)
    model(torch.empty(2, 3, 16, 16, device=device)).sum().backward()
    clustering.after_step(1, model)
    assert all(parameter.grad.device == device for parameter in model.parameters())


def test_ranges_for_int8_are_followed_where_the_network_lies(device):
    model = network()
    Int8Simulation(model)
    model.to(device).train()
    model(torch.empty(2, 3, 16, 16, device=device)).sum().backward()
    assert all(tensor.device == device for tensor in model.state_dict().values())


def test_masks_of_a_saved_pruning_follow_the_weights(device):
    model = network()
    schedule = ScheduleConfig(mode="one_shot")
    pruning = Pruning(model, PruneConfig(sparsity=0.8, schedule=schedule), epochs=4, steps_per_epoch=4)
    keep = {f"keep.{name}": torch.ones_like(model.get_submodule(name).weight) for name in pruning.targets}
    pruning.load_state_dict({"step": torch.tensor(3)} | keep)
    pruning.apply(model.to(device))
    assert {mask.device for mask in pruning.keep.values()} == {device}


def test_the_least_important_channels_are_found_where_their_scores_lie(device, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: tensor.device)
    scores = torch.empty(32, device=device)
    assert _least(scores, torch.arange(32), ChannelPruneConfig()) == device
