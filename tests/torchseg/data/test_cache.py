from __future__ import annotations

import pickle

import numpy as np
import pytest

from torchseg.data import CachedSamples, CacheWriter, Sample

SIZES = [(4, 6), (3, 5), (8, 2)]


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return [
        Sample(
            name=f"picture {number}",
            picture=rng.integers(0, 256, (*size, 3), np.uint8),
            mask=rng.integers(0, 9, size, np.uint8),
        )
        for number, size in enumerate(SIZES)
    ]


def _cached(samples, path, limit_bytes=10_000):
    writer = CacheWriter(path, limit_bytes=limit_bytes)
    for sample in samples:
        writer.add(sample)
    writer.close()
    return CachedSamples(path, samples)


def _equal(one, other):
    return (
        one.name == other.name and np.array_equal(one.picture, other.picture) and np.array_equal(one.mask, other.mask)
    )


def test_what_was_written_is_read_back(samples, tmp_path):
    cached = _cached(samples, tmp_path / "below" / "train")
    assert len(cached) == 3
    assert all(_equal(one, other) for one, other in zip(cached, samples, strict=True))
    assert all(_equal(one, other) for one, other in zip(pickle.loads(pickle.dumps(cached)), samples, strict=True))


def test_from_the_first_that_does_not_fit_on_samples_are_read_as_before(samples, tmp_path):
    cached = _cached(samples, tmp_path / "train", limit_bytes=4 * 4 * 6 + 4)
    assert len(cached) == 3
    assert cached[0] is not samples[0]
    assert _equal(cached[0], samples[0])
    assert cached[1] is samples[1]
    assert cached[2] is samples[2]


def test_no_samples_are_a_cache_too(tmp_path):
    assert len(_cached([], tmp_path / "transfer")) == 0


def test_an_index_past_the_end_is_refused(samples, tmp_path):
    with pytest.raises(IndexError, match="sample 3 of 3"):
        _cached(samples, tmp_path / "train")[3]
