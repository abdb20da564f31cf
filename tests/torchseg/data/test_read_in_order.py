from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from torchseg.data import HeldSamples, open_data, read_in_order
from torchseg.data.datasets.scenes import Scenes


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
        raise ValueError(f"picture {index} is cut short")


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_wrong_with_a_sample_is_said_in_the_reader_s_own_words(processes):
    with pytest.raises(ValueError, match=r"^picture 0 is cut short$"):
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

    module = sys.modules["torchseg.data.read_in_order"]  # its name in the package is that of the function
    monkeypatch.setattr(module, "ProcessPoolExecutor", Pool)
    list(read_in_order(Scenes("train", height=16, width=16, length=3), processes=96))
    assert asked == [61]
