"""Reads JSON that a stranger may have written: bounds on depth and numbers, and text that can be written again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LIMIT_DEPTH = 64
_MOST_DIGITS = 19  # of a whole number: as many as 64 bits hold
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def plain_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: if the text is not JSON, is nested too deeply, or has a number beyond 64 bits or half a character,
            which no file could hold. The message does not name the file.
    """
    try:
        values = json.loads(text, parse_int=_whole_number)
    except RecursionError as error:
        raise ValueError(f"it is nested deeper than {LIMIT_DEPTH} levels") from error
    _check_depth(values)
    if _LONE_SURROGATE.search(text):
        _check_characters(values)
    return values


def as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON gives them back: tuples become lists, and what JSON does not know becomes text."""
    return dict(json.loads(json.dumps(dict(values), default=str)))


def _whole_number(digits: str) -> int:
    if len(digits.lstrip("-")) > _MOST_DIGITS:
        raise ValueError(f"it has a whole number of {len(digits)} digits; expected at most {_MOST_DIGITS}")
    return int(digits)


def _check_depth(values: Any) -> None:
    level, depth = [values], 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        if depth > LIMIT_DEPTH:
            raise ValueError(f"it is nested deeper than {LIMIT_DEPTH} levels")
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]


def _check_characters(values: Any) -> None:
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"it has half a character, {error.object[error.start]!a}") from error
