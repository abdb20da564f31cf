from __future__ import annotations

import torch
from torch import nn

from torchseg.train import Teacher


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.asked = 0

    def forward(self, images):
        self.asked += 1
        return images / 3


IMAGES, SEEDS = torch.arange(16.0).view(2, 2, 2, 2), torch.tensor([5, 6])


def test_a_batch_that_comes_again_is_answered_from_memory():
    network = Counted()
    teacher = Teacher(network, remembers=True)
    first, second = teacher(IMAGES, SEEDS), teacher(IMAGES, SEEDS)
    assert network.asked == 1
    assert torch.equal(first, second)
    assert torch.allclose(first, IMAGES / 3, rtol=1e-3)


def test_other_views_are_asked_for():
    network = Counted()
    teacher = Teacher(network, remembers=True)
    teacher(IMAGES, SEEDS)
    teacher(IMAGES, SEEDS + 1)
    assert network.asked == 2


def test_what_finds_no_room_is_asked_again_and_gets_the_same_answer():
    network = Counted()
    teacher = Teacher(network, remembers=True, room_bytes=IMAGES.numel() * 2)
    answers = [teacher(IMAGES + 1, SEEDS + 1), teacher(IMAGES, SEEDS), teacher(IMAGES, SEEDS)]
    assert network.asked == 3
    assert torch.equal(answers[1], answers[2])


def test_nothing_is_kept_unless_asked_to():
    network = Counted()
    teacher = Teacher(network)
    assert torch.equal(teacher(IMAGES, SEEDS), IMAGES / 3)
    teacher(IMAGES, SEEDS)
    assert network.asked == 2
