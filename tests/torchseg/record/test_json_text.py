from __future__ import annotations

import pytest

from torchseg.record import as_json, plain_json


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" * 100 + "]" * 100, "nested deeper than 64 levels"),
        ("[" * 50_000, "nested deeper than 64 levels"),
        ('{"a": ' * 65 + "1" + "}" * 65, "nested deeper than 64 levels"),
        ("9" * 20, "a whole number of 20 digits; expected at most 19"),
        ("-" + "9" * 5000, "a whole number of 5001 digits"),
        (r'"\ud800"', r"half a character, '\\ud800'"),
        ("{", "Expecting property name"),
    ],
)
def test_json_without_bounds_is_refused(text, expected):
    with pytest.raises(ValueError, match=expected):
        plain_json(text)


def test_what_is_within_bounds_is_read():
    assert plain_json("[" * 64 + "]" * 64)
    assert plain_json('{"a": [1, -9223372036854775808, 0.5, "\\u00e4", "\\ud83d\\ude00"]}') == {
        "a": [1, -(2**63), 0.5, "ä", "😀"]
    }


def test_values_become_what_json_gives_back():
    assert as_json({"a": (1, 2), 3: None}) == {"a": [1, 2], "3": None}
