"""Finds slices of a weight tensor whose values fit into the same codebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST = 256  # codebooks: their number is a byte


def shared_codebooks(held: Sequence[NDArray[Any]]) -> tuple[list[NDArray[Any]], NDArray[np.uint8] | None]:
    """Codebooks that hold the values of every slice, and which of them each slice uses.

    Values that are shared by a tensor, times a factor for each channel, are the same few integers in almost every
    channel of an int8 file, because its scale is a factor of the channel, too. No codebook has more values than the
    slice with the most, so no code takes more bits.

    Args:
        held: the distinct values of each slice, ascending, each `(values,)`.

    Returns:
        Codebooks, ascending, and the codebook of each slice `(slices,)`; if that takes no less space, the values of
        each slice as they came, and None.
    """
    own = list(held)
    most = max(len(values) for values in own)
    size = most * own[0].itemsize  # of a codebook, in bytes
    afford = min(_MOST, (len(own) * (size - 1) - 1) // size) if size else 0  # with a byte for each slice
    values = np.unique(np.concatenate(own))
    if len(values) > afford * most:
        return own, None
    bits = {value: 1 << index for index, value in enumerate(values.tolist())}
    sets = [sum(map(bits.__getitem__, each.tolist())) for each in own]
    unions: list[int] = []
    books = np.zeros(len(own), np.uint8)
    for index in sorted(range(len(own)), key=lambda index: -len(own[index])):
        fitting = (book for book, union in enumerate(unions) if (union | sets[index]).bit_count() <= most)
        book = next(fitting, len(unions))
        if book == afford:
            return own, None
        if book == len(unions):
            unions.append(0)
        books[index] = book
        unions[book] |= sets[index]
    return [values[[bool(union >> bit & 1) for bit in range(len(values))]] for union in unions], books
