from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from torchseg.data import CachedSamples, CacheWriter, HeldSamples, Sample, open_data, read_in_order
from torchseg.data.datasets.scenes import Scenes

SIZES = [(4, 6), (3, 5), (8, 2)]


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return [
        Sample(
            name=f"image {number}",
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


def test_a_sample_is_read_once():
    held = HeldSamples(Scenes("train", height=16, width=16, length=3))
    assert held[1] is held[1]


def test_what_does_not_fit_is_read_every_time():
    held = HeldSamples(Scenes("train", height=16, width=16, length=3), limit_bytes=16 * 16 * 4)
    assert held[0] is held[0]
    assert held[1] is not held[1]


def test_an_index_past_the_end_of_held_samples_is_refused():
    with pytest.raises(IndexError, match="sample 3 of 3"):
        HeldSamples(Scenes("train", height=16, width=16, length=3))[3]


def test_a_process_that_begins_afresh_is_handed_no_pictures():
    held = HeldSamples(Scenes("train", height=64, width=64, length=3))
    empty = len(pickle.dumps(held))
    room = held.room
    assert [held[index].name for index in range(3)]
    assert len(pickle.dumps(held)) == empty
    assert pickle.loads(pickle.dumps(held)).room == room > held.room


@pytest.mark.parametrize("processes", [1, 2])
def test_samples_come_in_order_however_many_processes_read_them(processes):
    samples = Scenes("train", height=16, width=16, length=20)
    read = list(read_in_order(samples, processes=processes))
    assert [each.name for each in read] == [f"train_{index:05d}" for index in range(20)]
    assert all(np.array_equal(each.picture, samples[at].picture) for at, each in enumerate(read))


class Damaged:
    def __len__(self):
        return 20

    def __getitem__(self, index):
        raise ValueError(f"image {index} is cut short")


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_wrong_with_a_sample_is_said_in_the_reader_s_own_words(processes):
    with pytest.raises(ValueError, match=r"^image 0 is cut short$"):
        list(read_in_order(Damaged(), processes=processes))


@pytest.mark.slow
def test_processes_that_begin_afresh_read_the_same(spawned, write_pair, tmp_path):
    for number in range(30):
        write_pair(f"picture{number}")
    samples = open_data("folder", tmp_path, size=(8, 8)).train
    read = list(read_in_order(HeldSamples(samples), processes=2))
    assert [each.name for each in read] == [each.name for each in samples]


def test_there_are_no_more_processes_than_windows_can_wait_for(monkeypatch):
    asked = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers, **options):
            asked.append(workers)
            super().__init__(1, **options)

    module = sys.modules["torchseg.data.cache"]  # its name in the package is that of the function
    monkeypatch.setattr(module, "ProcessPoolExecutor", Pool)
    list(read_in_order(Scenes("train", height=16, width=16, length=3), processes=96))
    assert asked == [61]


@pytest.mark.parametrize("channels", [1, 4])
def test_images_of_any_number_of_channels_are_kept_and_their_damage_is_noticed(channels, tmp_path):
    rng = np.random.default_rng(channels)
    sample = Sample(
        name="banded",
        picture=rng.integers(0, 256, (4, 6, channels), np.uint8),
        mask=rng.integers(0, 9, (4, 6), np.uint8),
    )
    assert _equal(_cached([sample, sample], tmp_path / "train")[1], sample)
    stored = bytearray((tmp_path / "train.bin").read_bytes())
    assert len(stored) == 2 * 24 * (channels + 1)
    stored[-1] ^= 1  # in the last mask
    (tmp_path / "train.bin").write_bytes(stored)
    damaged = CachedSamples(tmp_path / "train", [sample, sample])
    assert _equal(damaged[0], sample)
    with pytest.raises(ValueError, match="is damaged: image banded"):
        _ = damaged[1]
