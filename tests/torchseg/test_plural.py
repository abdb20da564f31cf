from __future__ import annotations

import pytest

from torchseg.plural import counted, verb


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1 thread"), ("1", "1 thread"), (0, "0 threads"), ("1 or 2", "1 or 2 threads")]
)
def test_a_noun_has_the_number_of_its_count(number, text):
    assert counted(number, "thread") == text


@pytest.mark.parametrize(("number", "text"), [(1, "has"), (0, "have"), (2, "have")])
def test_a_verb_has_the_number_of_its_subject(number, text):
    assert verb(number, "has", "have") == text
