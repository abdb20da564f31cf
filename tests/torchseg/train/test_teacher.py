from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train import Teacher

SPEC = ImageSpec(height=8, width=8, classes=("a", "b", "c"))


class Counted(nn.Module):
    """Its logits are its images, divided by three; counts how often it is asked, and about how many images."""

    def __init__(self):
        super().__init__()
        self.asked, self.sizes = 0, []

    def forward(self, images):
        self.asked += 1
        self.sizes.append(len(images))
        return images / 3


IMAGES, SEEDS = torch.arange(16.0).view(2, 2, 2, 2), torch.tensor([5, 6])


def test_a_batch_that_comes_again_is_answered_from_memory():
    network = Counted()
    teacher = Teacher(network, caches_logits=True)
    first, second = teacher(IMAGES, SEEDS), teacher(IMAGES, SEEDS)
    assert network.asked == 1
    assert torch.equal(first, second)
    assert torch.allclose(first, IMAGES / 3, rtol=1e-3)
    assert first.dtype == second.dtype == torch.float32


def test_other_views_are_asked_for():
    network = Counted()
    teacher = Teacher(network, caches_logits=True)
    teacher(IMAGES, SEEDS)
    teacher(IMAGES, SEEDS + 1)
    assert network.asked == 2


def test_what_finds_no_room_is_asked_again_and_gets_the_same_answer():
    network = Counted()
    teacher = Teacher(network, caches_logits=True, limit_bytes=IMAGES.numel() * 2)
    answers = [teacher(IMAGES + 1, SEEDS + 1), teacher(IMAGES, SEEDS), teacher(IMAGES, SEEDS)]
    assert network.asked == 3
    assert torch.equal(answers[1], answers[2])


def test_nothing_is_kept_unless_asked_to():
    network = Counted()
    teacher = Teacher(network)
    assert torch.equal(teacher(IMAGES, SEEDS), IMAGES / 3)
    teacher(IMAGES, SEEDS)
    assert network.asked == 2


@pytest.mark.parametrize("caches_logits", [False, True])
def test_a_batch_is_answered_in_pieces_that_are_put_together_in_order(caches_logits):
    network = Counted()
    whole, pieces = (Teacher(network, caches_logits=caches_logits) for _ in range(2))
    images, seeds = torch.arange(20.0).view(5, 1, 2, 2), torch.arange(5)
    assert torch.equal(pieces(images, seeds, parts=2), whole(images, seeds))
    assert network.sizes == [3, 2, 5]


def test_a_batch_of_one_is_answered_however_many_pieces_there_could_be():
    assert torch.equal(Teacher(Counted())(IMAGES[:1], SEEDS[:1], parts=2), IMAGES[:1] / 3)


def test_the_network_is_in_eval_mode_and_learns_nothing_in_whichever_thread_it_is_asked():
    network = build_model("unet", {"base_width": 4, "depth": 1}, SPEC, seed=1).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    threads = set()

    def run(function, pieces):
        def called(piece):
            threads.add(threading.current_thread())
            return function(piece)

        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(called, pieces))

    logits = Teacher(network)(images, torch.arange(4), parts=2, run=run)
    assert threading.main_thread() not in threads
    assert not logits.requires_grad
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_in_mixed_precision_the_logits_are_still_float32():
    network = build_model("unet", {"base_width": 4, "depth": 1}, SPEC, seed=1)
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    exact, mixed = (Teacher(network, precision=precision)(images, SEEDS) for precision in ("fp32", "bf16"))
    assert mixed.dtype == torch.float32
    assert torch.allclose(exact, mixed, atol=0.1)
    assert not torch.equal(exact, mixed)
