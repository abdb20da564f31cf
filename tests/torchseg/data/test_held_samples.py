from __future__ import annotations

import pickle

import pytest

from torchseg.data import HeldSamples
from torchseg.data.datasets.scenes import Scenes


def test_a_sample_is_read_once():
    held = HeldSamples(Scenes("train", height=16, width=16, length=3))
    assert held[1] is held[1]


def test_what_does_not_fit_is_read_every_time():
    held = HeldSamples(Scenes("train", height=16, width=16, length=3), limit_bytes=16 * 16 * 4)
    assert held[0] is held[0]
    assert held[1] is not held[1]


def test_an_index_past_the_end_is_refused():
    with pytest.raises(IndexError, match="sample 3 of 3"):
        HeldSamples(Scenes("train", height=16, width=16, length=3))[3]


def test_a_process_that_begins_afresh_is_handed_no_pictures():
    held = HeldSamples(Scenes("train", height=64, width=64, length=3))
    empty = len(pickle.dumps(held))
    room = held.room
    assert [held[index].name for index in range(3)]
    assert len(pickle.dumps(held)) == empty
    assert pickle.loads(pickle.dumps(held)).room == room > held.room
