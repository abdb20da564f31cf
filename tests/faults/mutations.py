"""Damage to files by chance, with fixed seeds, and how much of it is tried: more with FAULT_SEEDS set."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

LONG = int(os.environ.get("FAULT_SEEDS", "0"))  # `make faults` sets 200
NUMBERS = os.environ.get("FAULT_NUMBERS", "")  # a file, which gets a line for each family


def number_of(long: int, *, short: int) -> int:
    """How many to try: `short` in the ordinary tests, `long` with FAULT_SEEDS=200, and in proportion."""
    return max(1, long * LONG // 200) if LONG else short


def report(family: str, outcomes: Counter[str], **most: float) -> None:
    """Writes down what came of a family of faults, for the table of docs/explanation/reliability.md.

    Args:
        family: name of the row; several reports of one family are added up.
        outcomes: how often each came.
        most: `seconds` that one attempt took at most, and `peak_mb` that a process had at most, where they are limited.
    """
    if NUMBERS:
        with Path(NUMBERS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"family": family, "outcomes": outcomes, **most}) + "\n")


def mutated(content: bytes, seed: int) -> bytes:
    """Content that differs from the given one, damaged in one to three of the ways below."""
    chance = random.Random(seed)
    damaged = content
    while damaged == content:
        for _ in range(chance.randint(1, 3)):
            damaged = chance.choice(_WAYS)(damaged or b"\0", chance)
    return damaged


def flipped(content: bytes, seed: int) -> bytes:
    """Content with one bit changed."""
    place = random.Random(seed).randrange(8 * len(content))
    return _with(content, place // 8, bytes([content[place // 8] ^ 1 << place % 8]))


def _with(content: bytes, at: int, part: bytes) -> bytes:
    return content[:at] + part + content[at + len(part) :]


def _flip(content: bytes, chance: random.Random) -> bytes:
    return flipped(content, chance.randrange(2**32))


def _flip_early(content: bytes, chance: random.Random) -> bytes:
    """Where headers, sizes and offsets are."""
    return flipped(content[:200], chance.randrange(2**32)) + content[200:]


def _overwrite(content: bytes, chance: random.Random) -> bytes:
    part = chance.choice([b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", chance.randbytes(8)])
    return _with(content, chance.randrange(len(content)), part)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _remove(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + content[start + chance.randint(1, 64) :]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content))
    part = content[start : start + chance.randint(1, 256)]
    return content[:start] + part * chance.randint(2, 5) + content[start + len(part) :]


def _insert(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content) + 1)
    return content[:start] + chance.randbytes(chance.randint(1, 16)) + content[start:]


_WAYS: list[Callable[[bytes, random.Random], bytes]] = [
    _flip, _flip, _flip_early, _overwrite, _overwrite, _cut, _remove, _repeat, _insert,
]  # fmt: skip
