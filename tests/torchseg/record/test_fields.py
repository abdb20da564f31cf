from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from torchseg.record import RecordError, build


@dataclass(frozen=True, kw_only=True)
class Part:
    name: str


@dataclass(frozen=True, kw_only=True)
class Whole:
    count: int
    share: float = 0.0
    parts: tuple[Part, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count is {self.count}; give 0 or more")


def _build(values, **options):
    return build(Whole, values, path=Path("whole.json"), remedy="make it again", **options)


def test_values_become_the_dataclass():
    whole = Whole(count=1, share=2, parts=(Part(name="a"),), sizes={"b": 3})
    assert _build({"count": 1, "share": 2, "parts": [{"name": "a"}], "sizes": {"b": 3}}) == whole


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], "it is [], expected an object"),
        ({}, "count is missing, expected a value"),
        ({"count": True}, "count is True, expected a whole number"),
        ({"count": 2**63}, f"count is {2**63}, expected a number of at most 63 bits"),
        ({"count": 1, "share": float("nan")}, "share is nan, expected a finite number"),
        ({"count": 1, "share": 10**400}, "expected a number of at most 63 bits"),
        ({"count": 1, "parts": [{}]}, "parts[0].name is missing, expected a value"),
        ({"count": 1, "parts": [{"name": 1}]}, "parts[0].name is 1, expected a text"),
        ({"count": 1, "sizes": {"x" * 500: "1"}}, f"sizes.{'x' * 40} is '1', expected a whole number"),
        ({"count": 1, "colour": 1}, "colour is 1, expected no such field, but count, share, parts, sizes"),
        ({"count": -1}, "count is -1; give 0 or more"),
    ],
)
def test_what_does_not_fit_is_named_with_what_was_expected(values, expected):
    with pytest.raises(RecordError, match=re.escape(expected)) as refused:
        _build(values)
    assert str(refused.value).startswith("whole.json is damaged: ")
    assert str(refused.value).endswith("; make it again")


def test_fields_that_are_not_described_may_be_left_out():
    values = {"count": 1, "colour": "red", "parts": [{"name": "a", "colour": 7}]}
    assert _build(values, others_allowed=True) == Whole(count=1, parts=(Part(name="a"),))
