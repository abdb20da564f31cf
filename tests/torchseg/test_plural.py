from __future__ import annotations

import pytest

from torchseg.plural import counted


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1 thread"), ("1", "1 thread"), (0, "0 threads"), ("1 or 2", "1 or 2 threads")]
)
def test_a_noun_has_the_number_of_its_count(number, text):
    assert counted(number, "thread") == text
