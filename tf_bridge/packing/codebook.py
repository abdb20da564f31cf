"""One weight tensor as a bitmask, codes and a codebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UNSIGNED = {4: np.uint32, 1: np.uint8}  # by item size; values are told apart by their bits
_NEGATIVE_ZERO = 0x80000000
# What the rebuilding operators take in a file with short names.
_CODES_BYTES, _MASK_BYTES, _CHANNELS_BYTES, _TRANSPOSE_BYTES = 210, 220, 45, 45

MAX_RADIX = 256
_CAPACITY: Mapping[np.dtype[Any], int] = {np.dtype(np.uint8): 2**8, np.dtype(np.int32): 2**31}  # values of a word
_WORTH = 0.97  # bytes unpack several times faster by a table, so the wide word must save at least 3 %


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedWeight:
    """Few distinct values, many of them zero, in less than dense storage takes; `unpack` gives every bit back.

    The one exception is negative zero, which comes back as zero: masks multiplied into negative weights leave it
    behind, it computes the same, and as a value of its own it would cost more than the pruning saves.
    """

    shape: tuple[int, ...]
    axis: int | None  # along which each slice has its own codebook (0: output channel); None: one for the tensor
    mask: PackedDigits | None  # 1 where a weight is not zero, slices in order of `axis`; None: zero has a code
    codes: PackedDigits  # of every weight, or with a mask of every weight that is not zero
    codebook: NDArray[Any]  # (slices or 1, values), float32 or int8; with a mask the last column is zero

    @classmethod
    def smallest(cls, weight: NDArray[Any]) -> PackedWeight | None:
        """The smallest storage of a tensor, or None where dense storage is at least as small.

        Args:
            weight: float32, int8 or uint8, any shape.

        Raises:
            ValueError: for another type of number, or if a value is not finite.
        """
        if weight.dtype not in (np.float32, np.int8, np.uint8):
            raise ValueError(f"weight holds {weight.dtype}; expected float32, int8 or uint8")
        if not np.isfinite(weight).all():
            raise ValueError("weight holds values that are not finite; train the network again")
        packed = min(_candidates(weight), key=lambda candidate: candidate.size_bytes, default=None)
        return packed if packed is not None and packed.size_bytes < weight.nbytes else None

    @property
    def size_bytes(self) -> int:
        """What it takes in a file, the operators that rebuild it included (these are an estimate)."""
        size = self.codes.words.nbytes + self.codebook.nbytes + _CODES_BYTES
        if self.mask is not None:
            size += self.mask.words.nbytes + _MASK_BYTES
        if self.axis is not None:
            size += _CHANNELS_BYTES
        return size + (_TRANSPOSE_BYTES if self.axis else 0)

    def unpack(self) -> NDArray[Any]:
        """The tensor, as the operators in a file rebuild it."""
        codes = self.codes.unpack()
        if self.mask is not None:
            kept = self.mask.unpack()
            codes = np.append(-1, codes)[kept.cumsum() * kept]  # -1 is the end of the codebook, which holds the zero
        rows = np.take_along_axis(self.codebook, codes.reshape(len(self.codebook), -1), axis=1)
        return np.ascontiguousarray(np.moveaxis(rows.reshape(self.moved_shape), 0, self.axis or 0))

    @property
    def moved_shape(self) -> tuple[int, ...]:
        """The shape with `axis` in front."""
        axis = self.axis or 0
        return (self.shape[axis], *self.shape[:axis], *self.shape[axis + 1 :])


def without_negative_zeros(weight: NDArray[Any]) -> NDArray[Any]:
    """A copy whose negative zeros are zeros; every other bit stays."""
    copy = np.array(weight, order="C")
    if copy.dtype == np.float32:
        bits = copy.reshape(-1).view(np.uint32)  # no comparison of floats: a processor may take subnormals for zero
        bits[bits == _NEGATIVE_ZERO] = 0
    return copy


def _candidates(weight: NDArray[Any]) -> Iterator[PackedWeight]:
    if weight.size == 0:
        return
    weight = without_negative_zeros(weight)
    for axis in (None, 0, 1):
        if axis is not None and (weight.ndim < 2 or weight.shape[axis] < 2):
            continue
        moved = weight if axis is None else np.moveaxis(weight, axis, 0)
        rows = np.ascontiguousarray(moved).reshape(1 if axis is None else len(moved), -1)
        for masked in (False, True):
            packed = _encode(rows, weight.shape, axis, masked=masked)
            if packed is not None:
                yield packed


def _encode(rows: NDArray[Any], shape: tuple[int, ...], axis: int | None, *, masked: bool) -> PackedWeight | None:
    """Rows `(slices, weights of a slice)` with a codebook each; None where a slice has too many values."""
    bits = rows.view(_UNSIGNED[rows.itemsize])
    kept = bits != 0 if masked else np.ones(bits.shape, bool)
    books, codes = [], []
    for row, keep in zip(bits, kept, strict=True):
        values, inverse = np.unique(row[keep], return_inverse=True)
        if len(values) > MAX_RADIX:
            return None
        books.append(values)
        codes.append(inverse)
    width = max(2, *map(len, books))  # digits need two values to choose from
    codebook = np.zeros((len(books), width + masked), bits.dtype)
    for line, values in zip(codebook, books, strict=True):
        line[: len(values)] = values
    return PackedWeight(
        shape=shape,
        axis=axis,
        mask=PackedDigits.pack(kept.reshape(-1).astype(np.int64), 2) if masked else None,
        codes=PackedDigits.pack(np.concatenate(codes), width),
        codebook=codebook.view(rows.dtype),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedDigits:
    """Numbers below `radix`, written as the digits of words, the first digit lowest.

    Three numbers below 6 fit a byte (216 <= 256), which is 2.67 bits each where whole bits would take 3; 22 numbers
    below 7 fit two 32-bit words, 2.91 bits each. A division by the powers of the radix and a remainder give all digits
    back, with operators that every ONNX runtime has; fields of 3 bits would cross bytes, and no operator cuts those.
    Wider words would save little and break in OpenVINO, which computes with 64-bit integers as if they had 32.
    """

    words: NDArray[Any]  # (words, 1), uint8 or int32
    radix: int  # 2 to 256
    count: int  # of digits; the last word is filled up with zeros

    @classmethod
    def pack(cls, digits: NDArray[np.integer[Any]], radix: int) -> PackedDigits:
        """Writes digits into the words that hold them in the fewest bytes.

        Args:
            digits: `(N,)`, each from 0 to `radix - 1`.
            radix: 2 to 256.

        Raises:
            ValueError: for a radix or a digit outside its range.
        """
        if not 2 <= radix <= MAX_RADIX:
            raise ValueError(f"radix is {radix}; expected 2 to {MAX_RADIX}")
        if digits.size and not 0 <= int(digits.min()) <= int(digits.max()) < radix:
            raise ValueError(f"digits run from {digits.min()} to {digits.max()}; expected 0 to {radix - 1}")
        byte, wide = (cls._fill(digits, radix, word) for word in _CAPACITY)
        return wide if wide.words.nbytes < _WORTH * byte.words.nbytes else byte

    @classmethod
    def _fill(cls, digits: NDArray[np.integer[Any]], radix: int, word: np.dtype[Any]) -> PackedDigits:
        powers = _powers(radix, word)
        padded = np.zeros(-(-digits.size // powers.size) * powers.size, np.int64)
        padded[: digits.size] = digits
        words = padded.reshape(-1, powers.size) @ powers  # (words,), below 2**31 by the choice of powers
        return cls(words=words.astype(word)[:, None], radix=radix, count=digits.size)

    @property
    def powers(self) -> NDArray[np.int64]:
        """What to divide a word by to bring each of its digits to the front, `(digits per word,)`."""
        return _powers(self.radix, self.words.dtype)

    def unpack(self) -> NDArray[np.int64]:
        """The digits, `(N,)`."""
        digits: NDArray[np.int64] = self.words.astype(np.int64) // self.powers % self.radix
        return digits.reshape(-1)[: self.count]


def _powers(radix: int, word: np.dtype[Any]) -> NDArray[np.int64]:
    powers = [1]
    while powers[-1] * radix**2 <= _CAPACITY[word]:
        powers.append(powers[-1] * radix)
    return np.array(powers, np.int64)
