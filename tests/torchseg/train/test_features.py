from __future__ import annotations

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional

from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train.data_parallel import replica
from torchseg.train.features import FeatureStudent, FeatureTeacher

SPEC = ImageSpec(height=16, width=16, classes=("a", "b", "c"))
SHAPE = (3, 16, 16)


def _network(name="unet", seed=1):
    return build_model(name, {"base_width": 4, "depth": 1}, SPEC, seed=seed).eval()


@torch.no_grad()
def test_the_logits_of_a_teacher_are_its_last_convolution_of_its_features():
    network, images = _network(), torch.randn(2, *SHAPE)
    teacher = FeatureTeacher(network, SHAPE)
    answer = teacher(images)
    assert answer.shape == (2, 3 + teacher.channels, 16, 16)
    assert torch.equal(answer[:, :3], network(images))
    torch.testing.assert_close(network.head(answer[:, 3:]), answer[:, :3])


@torch.no_grad()
def test_features_of_half_the_size_are_enlarged_to_the_logits():
    network, images = _network("fast_unet"), torch.randn(2, *SHAPE)
    read = []
    network.head.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    features = FeatureTeacher(network, SHAPE)(images)[:, 3:]
    assert read[-1].shape[2:] == (8, 8)
    assert torch.equal(features, functional.interpolate(read[-1], size=(16, 16), mode="bilinear"))


def test_a_student_has_as_many_features_as_its_teacher_in_training_and_none_otherwise():
    network, images = _network(), torch.randn(2, *SHAPE)
    student = FeatureStudent(network, SHAPE, channels=7, seed=0)
    assert torch.equal(student.eval()(images), network(images))
    assert student.train()(images).shape == (2, 3 + 7, 16, 16)


def test_the_projection_depends_on_the_seed_alone():
    first, again, other = (
        FeatureStudent(_network(), SHAPE, channels=7, seed=seed).projection.weight for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_replicas_in_two_threads_do_not_mix_up_their_features():
    student = FeatureStudent(_network(), SHAPE, channels=7, seed=0)
    networks, images = (student.train(), replica(student).train()), torch.randn(2, 2, *SHAPE)
    alone = [network(part) for network, part in zip(networks, images, strict=True)]
    found, meeting = [None, None], threading.Barrier(2)
    assert networks[0].network.head is networks[1].network.head

    def meet(*_):  # both have computed their features before either reads them
        meeting.wait(timeout=10)

    networks[0].network.head.register_forward_hook(meet)

    def run(at):
        found[at] = networks[at](images[at])

    threads = [threading.Thread(target=run, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(one, two) for one, two in zip(alone, found, strict=True))


def test_a_network_without_a_convolution_is_refused():
    class Colours(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, images):
            return images * self.scale

    with pytest.raises(ValueError, match="feature_weight needs networks with a convolution"):
        FeatureTeacher(Colours(), SHAPE)
