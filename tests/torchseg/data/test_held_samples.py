from __future__ import annotations

import pytest

from torchseg.data import HeldSamples
from torchseg.data.scenes import Scenes


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
