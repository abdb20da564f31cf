from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchseg.data import RandomView, Sample, UnmaskedSamples

SIDE, BLOB = 160, 16  # a class of 1 % of the pixels


def _sample(top, left, *, shape=(SIDE, SIDE)):
    mask = np.zeros(shape, np.uint8)
    mask[top : top + BLOB, left : left + BLOB] = 1
    return Sample(name="a", picture=np.repeat(mask[..., None] * 255, 3, axis=2), mask=mask)


def _view(shares=None, *, size=32, upright=True):
    return RandomView(height=size, width=size, upright=upright, class_shares=shares)


def _shown(view, sample, *, seeds, value=1):
    """The share of the pixels of each view that show the class, `(N,)`."""
    return np.array([float((view(sample, seed=seed)[1] == value).float().mean()) for seed in seeds])


@settings(deadline=None, max_examples=15)
@given(st.integers(0, SIDE - BLOB), st.integers(0, SIDE - BLOB), st.booleans())
def test_a_class_of_one_percent_is_in_clearly_more_views_wherever_it_lies(top, left, upright):
    sample = _sample(top, left)
    usual = _shown(_view(upright=upright), sample, seeds=range(40))
    rare = _shown(_view((0.99, 0.01), upright=upright), sample, seeds=range(40))
    assert (rare < 0.004).sum() <= (usual < 0.004).sum() / 3  # views that miss it, or most of it
    assert rare.mean() > 1.1 * usual.mean()


def test_the_rarer_of_two_classes_decides():
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, : SIDE // 5], mask[:, -SIDE // 5 :] = 1, 2  # at opposite borders: a view shows much of one of them
    sample = Sample(name="a", picture=np.zeros((SIDE, SIDE, 3), np.uint8), mask=mask)
    for shares, rarer in (((0.7, 0.29, 0.01), 2), ((0.7, 0.01, 0.29), 1)):
        shown = [_shown(_view(shares), sample, seeds=range(30), value=value).mean() for value in (1, 2)]
        assert shown[rarer - 1] > 1.15 * shown[2 - rarer]


def test_the_seed_alone_decides_and_the_global_state_is_left_alone():
    view, sample = _view((0.99, 0.01)), _sample(3, 140)
    before = torch.random.get_rng_state()
    first, again, other = (view(sample, seed=seed) for seed in (5, 5, 6))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[1], other[1])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_images_without_masks_or_with_one_class_are_seen_as_ever():
    unmasked = UnmaskedSamples([_sample(3, 140)], ignore_index=255)[0]
    alone = Sample(name="a", picture=_sample(3, 140).picture, mask=np.zeros((SIDE, SIDE), np.uint8))
    for sample, seed in ((unmasked, 4), (alone, 5)):
        (usual, _), (picture, mask) = (view(sample, seed=seed) for view in (_view(), _view((0.99, 0.01))))
        # The crop is the same; colours come from the same state, as the first box was the only one that was drawn.
        assert torch.equal(usual, picture)
        assert mask.unique().tolist() == np.unique(sample.mask).tolist()


def test_image_and_mask_are_cropped_alike():
    picture, mask = _view((0.99, 0.01))(_sample(20, 90), seed=2)
    assert type(picture) is type(mask) is torch.Tensor
    bright = picture.float().mean(dim=0) > 0.5 * picture.float().max()
    assert (bright == (mask == 1)).float().mean() > 0.97


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 3), (33, 517)])
def test_images_of_any_shape_are_cropped(shape):
    mask = np.arange(shape[0] * shape[1], dtype=np.uint32).reshape(shape) % 3
    sample = Sample(name="a", picture=np.zeros((*shape, 3), np.uint8), mask=mask.astype(np.uint8))
    for seed in range(4):
        picture, seen = _view((0.5, 0.5, 0.0))(sample, seed=seed)
        assert (picture.shape, seen.shape) == ((3, 32, 32), (32, 32))


def test_views_of_half_the_size_prefer_rare_classes_too():
    view, sample = _view((0.99, 0.01), size=64), _sample(0, 0)
    plain = _view(size=64)
    found, usual = (
        sum(bool((each(sample, seed=seed, half_size=True)[1] == 1).any()) for seed in range(40))
        for each in (view, plain)
    )
    assert found > usual + 5
