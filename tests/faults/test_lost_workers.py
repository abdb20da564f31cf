"""What the system kills for lack of memory: a reading process is replaced once, then there is one message."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

from torchseg.data import Batches, BatchPlan, RandomView, Sample, read_in_order
from torchseg.data.datasets.scenes import Scenes

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="sends signals of POSIX")]


class Deadly:
    """Samples of which some kill the process that reads them, each as often as `times` says."""

    def __init__(self, folder, times):
        self.folder, self.times, self.parent = folder, times, os.getpid()
        self.samples = Scenes("train", height=16, width=16, length=20)

    def __len__(self):
        return 20

    def __getitem__(self, index):
        deaths = len(list(self.folder.glob(f"{index}-*")))
        if os.getpid() != self.parent and deaths < self.times.get(index, 0):
            (self.folder / f"{index}-{deaths}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.samples[index]


def test_a_reader_that_is_killed_is_replaced_and_no_image_is_lost(tmp_path, caplog):
    samples = Deadly(tmp_path, {11: 1})
    read = list(read_in_order(samples, processes=2))
    assert [each.name for each in read] == [f"train_{index:05d}" for index in range(20)]
    assert "a process that reads images was killed near image" in caplog.text


def test_a_reader_that_is_killed_twice_is_one_message(tmp_path):
    with pytest.raises(ValueError, match=r"was killed twice, near images .*; give fewer --threads, or smaller images"):
        list(read_in_order(Deadly(tmp_path, {11: 2}), processes=2))


def _batches(samples):
    plan = BatchPlan(labelled=20, batch_size=4, seed=0)
    return Batches(samples, (), view=RandomView(height=16, width=16), plan=plan, workers=1)


def test_a_loader_that_is_killed_is_replaced_and_the_batches_stay_the_same(tmp_path, caplog):
    expected = [batch.pictures.numpy() for batch in _batches(Deadly(tmp_path, {})).epoch(0)]
    batches = [batch.pictures.numpy() for batch in _batches(Deadly(tmp_path, {7: 1})).epoch(0)]
    assert len(batches) == len(expected) == 5
    assert all(np.array_equal(one, other) for one, other in zip(batches, expected, strict=True))
    assert "a process that loads images was killed; another takes its place" in caplog.text


def test_a_loader_that_is_killed_twice_is_one_message(tmp_path):
    with pytest.raises(ValueError, match=r"killed a second time, probably for lack of memory; give fewer --workers"):
        list(_batches(Deadly(tmp_path, {7: 2})).epoch(0))


def test_another_error_of_a_loader_is_left_as_it_is():
    class Wrong:
        def __len__(self):
            return 20

        def __getitem__(self, index) -> Sample:
            raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        list(_batches(Wrong()).epoch(0))
