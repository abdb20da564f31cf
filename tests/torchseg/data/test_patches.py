from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchseg.data import PatchPlan, PatchSamples
from torchseg.data.file_samples import FileSamples


@given(st.integers(1, 400), st.integers(1, 90), st.floats(0, 0.95))
def test_patches_show_every_pixel_and_stay_inside(side, size, overlap):
    starts = PatchPlan(size=size, overlap=overlap).starts(side)
    shown = {pixel for start in starts for pixel in range(start, min(start + size, side))}
    assert shown == set(range(side))
    assert side < size or max(starts) + size == side
    assert len(set(starts)) == len(starts)


def test_overlap_brings_neighbours_closer():
    assert PatchPlan(size=100).starts(300) == [0, 100, 200]
    assert PatchPlan(size=100, overlap=0.5).starts(300) == [0, 50, 100, 150, 200]


@pytest.fixture
def samples(write_pair, tmp_path):
    pairs = []
    for name, size in (("wide", (12, 20)), ("tiny", (5, 6))):
        write_pair(name, size=size)
        pairs.append((tmp_path / f"images/{name}.jpg", tmp_path / f"masks/{name}.png"))
    return FileSamples(pairs, classes=("a", "b"))


def test_patches_are_cut_from_picture_and_mask_alike(samples):
    patches = PatchSamples(samples, PatchPlan(size=8))
    assert [patch.name for patch in patches] == [f"wide {top}+{left}" for top in (0, 4) for left in (0, 8, 12)] + [
        "tiny 0+0"
    ]
    last = patches[5]
    assert np.array_equal(last.picture, samples[0].picture[4:12, 12:20])
    assert np.array_equal(last.mask, samples[0].mask[4:12, 12:20])
    assert patches[6].mask.shape == (5, 6)


def test_a_picture_is_read_once_for_the_patches_in_a_row(samples, monkeypatch):
    patches = PatchSamples(samples, PatchPlan(size=8))
    read = []
    monkeypatch.setattr(samples, "read", lambda path, read_mask=samples.read: read.append(path) or read_mask(path))
    assert len(list(patches)) == 7
    assert len(read) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"size": 0}, "give a side"), ({"overlap": 1.0}, "give a share"), ({"overlap": -1}, "give a")],
)
def test_plans_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PatchPlan(**{"size": 8, "overlap": 0.0} | changes)
