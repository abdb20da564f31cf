from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from torchseg.data import BoundedSamples, RandomView, Sample, resize
from torchseg.data.datasets.scenes import Scenes
from torchseg.data.file_samples import FileSamples


@given(st.integers(0, 2**31 - 1))
def test_a_view_invents_no_class_and_keeps_ignored_pixels_ignored(seed):
    sample = Scenes("train", height=32, width=32, length=4)[seed % 4]
    picture, mask = RandomView(height=24, width=16)(sample, seed=seed)
    assert picture.shape == (3, 24, 16)
    assert picture.dtype == mask.dtype == torch.uint8
    assert set(mask.unique().tolist()) <= set(np.unique(sample.mask).tolist())


def test_the_seed_alone_decides_and_the_global_state_is_left_alone():
    sample, view = Scenes("train", height=32, width=32)[0], RandomView(height=32, width=32)
    before = torch.random.get_rng_state()
    first, again, other = (view(sample, seed=seed)[0] for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_pictures_and_masks_move_together():
    """A picture that shows its own mask still does so after the geometry of a view."""
    mask = np.zeros((32, 32), np.uint8)
    mask[8:20, 4:28] = 1
    picture = np.repeat(mask[..., None] * 255, 3, axis=2)
    for seed in range(10):
        seen, moved = RandomView(height=32, width=32)(Sample(name="a", picture=picture, mask=mask), seed=seed)
        bright = seen.float().mean(dim=0) > seen.float().mean()
        assert (bright == (moved == 1)).float().mean() > 0.93


CORNER = np.zeros((32, 32), np.uint8)
CORNER[:20, :6] = 1  # an L, which no turn and no flip leaves as it is
CORNER[:6, :14] = 1


def _symmetries(mask):
    """The eight turns and flips of a square, by name."""
    return {
        f"{quarters} quarters{', flipped' * flipped}": np.rot90(mask[:, ::-1] if flipped else mask, quarters)
        for quarters in range(4)
        for flipped in (0, 1)
    }


def _seen(seed, *, size=(32, 32), **options):
    sample = Sample(name="a", picture=np.repeat(CORNER[..., None] * 255, 3, axis=2), mask=CORNER)
    return RandomView(height=size[0], width=size[1], **options)(sample, seed=seed)


def _pose(mask):
    """The symmetry that a view shows; its crop moves and scales the shape a little."""
    shares = {
        name: np.logical_and(mask, turned).sum() / np.logical_or(mask, turned).sum()
        for name, turned in _symmetries(CORNER).items()
    }
    return max(shares, key=shares.get)


def _whole(monkeypatch):
    """Takes the crop out of views, so that a pose can be told."""
    from torchvision.transforms import v2

    monkeypatch.setattr(v2, "RandomResizedCrop", lambda size, **_: v2.Resize(size))


def test_images_without_up_and_down_are_seen_in_all_eight_symmetries(monkeypatch):
    _whole(monkeypatch)
    poses = Counter(_pose(_seen(seed, upright=False)[1].numpy()) for seed in range(160))
    assert poses.keys() == _symmetries(CORNER).keys()
    assert min(poses.values()) > 6  # 20 expected


def test_images_with_up_and_down_are_flipped_from_side_to_side_alone(monkeypatch):
    _whole(monkeypatch)
    poses = Counter(_pose(_seen(seed, upright=True)[1].numpy()) for seed in range(60))
    assert poses.keys() == {"0 quarters", "0 quarters, flipped"}
    assert min(poses.values()) > 15


@pytest.mark.parametrize(("upright", "poses"), [(True, 1), (False, 4)])
def test_without_flips_no_view_is_mirrored(upright, poses, monkeypatch):
    _whole(monkeypatch)
    seen = {_pose(_seen(seed, upright=upright, flip=False)[1].numpy()) for seed in range(60)}
    assert len(seen) == poses
    assert not any("flipped" in pose for pose in seen)


@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_pictures_and_masks_turn_together(size):
    for seed in range(24):
        picture, mask = _seen(seed, upright=False, size=size)
        assert picture.shape == (3, *size)
        assert mask.shape == size
        assert type(picture) is type(mask) is torch.Tensor
        bright = picture.float().mean(dim=0) > 0.5 * picture.float().mean(dim=0).max()
        assert (bright == (mask == 1)).float().mean() > 0.93


def test_turned_views_also_depend_on_the_seed_alone():
    before = torch.random.get_rng_state()
    one, again = (_seen(7, upright=False) for _ in range(2))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(one, again, strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_resizing_masks_takes_the_nearest_value():
    mask = np.array([[0, 255], [4, 1]], np.uint8)
    sample = Sample(name="a", picture=np.zeros((2, 2, 3), np.uint8), mask=mask)
    assert np.array_equal(resize(sample, height=4, width=4).mask, mask.repeat(2, axis=0).repeat(2, axis=1))


def test_a_sample_of_the_right_size_is_untouched():
    sample = Scenes("train", height=32, width=32)[0]
    assert resize(sample, height=32, width=32) is sample


def test_large_jpegs_are_bounded_like_other_samples(tmp_path):
    Image.radial_gradient("L").save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(np.repeat(np.arange(4, dtype=np.uint8), 64 * 256).reshape(256, 256)).save(tmp_path / "a.png")
    files = FileSamples([(tmp_path / "a.jpg", tmp_path / "a.png")], classes=("a", "b", "c", "d"))
    expected, bounded = (BoundedSamples(each, height=32, width=32)[0] for each in ([files[0]], files))
    assert bounded.mask.tolist() == expected.mask.tolist()
    assert bounded.picture.shape == expected.picture.shape == (64, 64, 3)
    assert not np.array_equal(bounded.picture, expected.picture)  # read from the averages
    assert np.abs(bounded.picture.astype(int) - expected.picture).max() < 8


def test_samples_larger_than_views_need_are_halved_and_keep_their_shape():
    class Wide:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return Sample(name="wide", picture=np.zeros((80, 200, 3), np.uint8), mask=np.zeros((80, 200), np.uint8))

    assert BoundedSamples(Wide(), height=20, width=20)[0].picture.shape == (40, 100, 3)
    assert BoundedSamples(Wide(), height=40, width=20)[0].picture.shape == (80, 200, 3)
    assert BoundedSamples(Wide(), height=20, width=64)[0].mask.shape == (51, 128)


@pytest.mark.parametrize("half_size", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_views_have_the_bands_of_the_image_and_jitter_grey_and_colours_alone(channels, half_size):
    picture = np.full((96, 96, channels), 120, np.uint8)
    sample, view = (
        Sample(name="flat", picture=picture, mask=np.zeros((96, 96), np.uint8)),
        RandomView(height=64, width=64),
    )
    seen = [view(sample, seed=seed, half_size=half_size)[0] for seed in range(4)]
    assert {each.shape for each in seen} == {(channels, *((32, 32) if half_size else (64, 64)))}
    assert any((each != 120).any() for each in seen) == (channels in (1, 3))
