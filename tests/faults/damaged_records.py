"""Damages records as disks and strangers do: bytes that flip, values of other types, depth, numbers without bound."""

from __future__ import annotations

import copy
import csv
import io
import json
from contextlib import suppress
from random import Random
from typing import Any

import yaml

from torchseg.record import with_checksum

_NESTED: Any = None
for _ in range(100):
    _NESTED = [_NESTED]
_VALUES = (
    *(None, True, False, 0, -1, 1.5, 1e308, float("nan"), float("inf"), -(2**63), 2**63 - 1, 2**64, 10**30),
    *("", "x", "nan", "1e999", "-1", "../../../etc/passwd", "/etc/passwd", "a\0b", "\ud800", "\u202e", "x" * 3000),
    *([], {}, [1, 2], ["a", None], {"a": 1}, [[]], [{}], _NESTED),
)
_BYTES = (
    *(b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 3000, b"9" * 5000),
    *(b"NaN", b'"\\ud800"', b"null", b"&a *a", b",\n"),
)


def damaged(content: bytes, kind: str, random: Random) -> bytes:
    """A record with one or two changes, of its bytes or of its values with the syntax kept.

    Args:
        content: of the file.
        kind: its suffix.
        random: decides what changes.
    """
    for _ in range(random.choice((1, 1, 2))):
        change = {".json": _other_json, ".yaml": _other_yaml, ".csv": _other_csv}.get(kind, _other_bytes)
        if random.random() < 0.3:
            change = _other_bytes
        with suppress(ValueError, yaml.YAMLError, RecursionError, csv.Error):  # already damaged beyond its syntax
            content = change(content, random)
    return content


def _other_bytes(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) + 1)
    before, behind = content[:start], content[start:]
    kind = random.randrange(5)
    if kind == 0:
        return before
    if kind == 1 and behind:
        return before + bytes([behind[0] ^ 1 << random.randrange(8)]) + behind[1:]
    if kind == 2:
        return before + behind[random.randrange(1, 20) :]
    if kind == 3:
        return before + behind[: random.randrange(1, 200)] + behind
    return before + random.choice(_BYTES) + behind[random.randrange(3) :]


def _other_json(content: bytes, random: Random) -> bytes:
    values = _changed(json.loads(content), random)
    if isinstance(values, dict) and "checksum" in values and random.random() < 0.8:  # by somebody who knows the format
        del values["checksum"]
        values = with_checksum(values)
    return json.dumps(values).encode()


def _other_yaml(content: bytes, random: Random) -> bytes:
    return yaml.safe_dump(_changed(yaml.safe_load(content), random), allow_unicode=False).encode()


def _other_csv(content: bytes, random: Random) -> bytes:
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    row = random.choice(rows or [[]])
    kind = random.randrange(4)
    if kind == 0 and row:
        row[random.randrange(len(row))] = str(random.choice(_VALUES)).encode(errors="replace").decode()
    elif kind == 1 and row:
        del row[random.randrange(len(row))]
    elif kind == 2:
        rows = [each for each in rows if each is not row]
    else:
        rows.append(row[: random.randrange(len(row) + 1)])
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _changed(values: Any, random: Random) -> Any:
    """A copy in which one value, or one name, is another."""
    values = copy.deepcopy(values)
    places = _places(values)
    if not places:
        return random.choice(_VALUES)
    holder, key = random.choice(places)
    kind = random.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[random.choice(("", "extra", "version", "x" * 500, "../x", "\ud800"))] = holder.pop(key)
    elif kind == 2:
        holder[key] = copy.deepcopy(random.choice(places)[0])
    else:
        holder[key] = random.choice(_VALUES)
    return values


def _places(values: Any) -> list[tuple[Any, Any]]:
    found, left = [], [values]
    while left:
        each = left.pop()
        keys = list(each) if isinstance(each, dict) else range(len(each)) if isinstance(each, list) else ()
        found += [(each, key) for key in keys]
        left += [each[key] for key in keys]
    return found
