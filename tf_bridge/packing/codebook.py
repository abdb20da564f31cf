"""Stores one weight tensor as a bitmask, and codes and a codebook or the values themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.packing.shared_codebooks import shared_codebooks

_UNSIGNED = {4: np.uint32, 2: np.uint16, 1: np.uint8}  # by item size; values are distinguished by their bits
# Bytes of the rebuilding operators in a file with short names.
_CODES_BYTES, _MASK_BYTES, _CHANNELS_BYTES, _ZEROS_BYTES, _TRANSPOSE_BYTES = 210, 220, 45, 60, 45
_BOOKS_BYTES = 110

MAX_RADIX = 256
# Number of values that a word can hold.
_CAPACITY: Mapping[np.dtype[Any], int] = {np.dtype(np.uint8): 2**8, np.dtype(np.int32): 2**31}
_WORTH = 0.97  # a lookup table unpacks bytes several times faster, so wide words must save at least 3 %


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedWeight:
    """A tensor with few distinct values or many zeros, in less space than dense storage.

    `unpack` restores every bit, except that negative zero becomes zero. Pruning masks multiplied into negative weights
    leave negative zeros; they compute the same, and as separate values they would cost more than pruning saves.
    """

    shape: tuple[int, ...]
    axis: int | None  # each slice along it has its own codebook (0: output channels); None: one codebook for the tensor
    mask: PackedDigits | None  # 1 where a weight is not zero, slices in the order of `axis`; None: zero has a code, too
    codes: PackedDigits | None  # of every weight, or with a mask of every nonzero weight; None: they take no codes
    codebook: NDArray[Any]  # (codebooks, values), with a mask a zero at the end; without codes the values in order
    books: NDArray[np.uint8] | None = None  # the codebook of each slice, `(slices,)`; None: one for each, in order

    @classmethod
    def smallest(cls, weight: NDArray[Any]) -> PackedWeight | None:
        """The smallest packed form of a tensor, or None if dense storage is at least as small.

        Args:
            weight: float32, float16, int8 or uint8, any shape.

        Raises:
            ValueError: for any other dtype, or if a value is not finite.
        """
        if weight.dtype not in (np.float32, np.float16, np.int8, np.uint8):
            raise ValueError(f"weight holds {weight.dtype}; expected float32, float16, int8 or uint8")
        if not np.isfinite(weight).all():
            raise ValueError("weight holds values that are not finite; train the network again")
        packed = min(_candidates(weight), key=lambda candidate: candidate.size_bytes, default=None)
        return packed if packed is not None and packed.size_bytes < weight.nbytes else None

    @property
    def storage(self) -> str:
        """The form in words: `codes`, `mask and codes` or `mask and values`."""
        if self.codes is None:
            return "mask and values"
        return "codes" if self.mask is None else "mask and codes"

    @property
    def size_bytes(self) -> int:
        """Bytes in a file, including an estimate for the operators that rebuild the tensor."""
        size = self.codebook.nbytes + _CODES_BYTES
        if self.codes is not None:
            size += self.codes.words.nbytes
        if self.mask is not None:
            size += self.mask.words.nbytes + _MASK_BYTES
        if self.axis is not None:
            size += _CHANNELS_BYTES
            if self.books is not None:
                size += self.books.nbytes + _BOOKS_BYTES
            if self.mask is not None:  # the zeros at the end of the codebooks are written as one operator
                size += _ZEROS_BYTES - self.codebook[:, -1].nbytes
        return size + (_TRANSPOSE_BYTES if self.axis else 0)

    def unpack(self) -> NDArray[Any]:
        """The dense tensor, rebuilt in the same way as by the operators in a file."""
        codes = np.arange(self.codebook.size - 1) if self.codes is None else self.codes.unpack()
        if self.mask is not None:
            kept = self.mask.unpack()
            codes = np.append(-1, codes)[kept.cumsum() * kept]  # -1 is the last entry of the codebook, the zero
        codebook = self.codebook if self.books is None else self.codebook[self.books]
        rows = np.take_along_axis(codebook, codes.reshape(self.slices, -1), axis=1)
        return np.ascontiguousarray(np.moveaxis(rows.reshape(self.moved_shape), 0, self.axis or 0))

    @property
    def slices(self) -> int:
        """Number of slices along `axis`; 1 without one."""
        return len(self.codebook) if self.books is None else len(self.books)

    @property
    def moved_shape(self) -> tuple[int, ...]:
        """The shape with `axis` moved to the front."""
        axis = self.axis or 0
        return (self.shape[axis], *self.shape[:axis], *self.shape[axis + 1 :])


def without_negative_zeros(weight: NDArray[Any]) -> NDArray[Any]:
    """A copy with zeros in place of negative zeros; all other bits are unchanged."""
    copy = np.array(weight, order="C")
    if copy.dtype.kind == "f":
        # Compares bits, because a CPU may treat subnormal floats as zero.
        bits = copy.reshape(-1).view(_UNSIGNED[copy.itemsize])
        bits[bits == 1 << (8 * copy.itemsize - 1)] = 0
    return copy


def _candidates(weight: NDArray[Any]) -> Iterator[PackedWeight]:
    if weight.size == 0:
        return
    weight = without_negative_zeros(weight)
    yield _without_codes(weight)
    for axis in (None, 0, 1):
        if axis is not None and (weight.ndim < 2 or weight.shape[axis] < 2):
            continue
        moved = weight if axis is None else np.moveaxis(weight, axis, 0)
        rows = np.ascontiguousarray(moved).reshape(1 if axis is None else len(moved), -1)
        for masked in (False, True):
            packed = _encode(rows, weight.shape, axis, masked=masked)
            if packed is not None:
                yield packed


def _without_codes(weight: NDArray[Any]) -> PackedWeight:
    """A mask, and the nonzero values one after the other: the form of pruned weights that are not clustered."""
    kept = weight.view(_UNSIGNED[weight.itemsize]).reshape(-1) != 0
    return PackedWeight(
        shape=weight.shape,
        axis=None,
        mask=PackedDigits.pack(kept.astype(np.int64), 2),
        codes=None,
        codebook=np.append(weight.reshape(-1)[kept], np.zeros(1, weight.dtype))[None],
    )


def _encode(rows: NDArray[Any], shape: tuple[int, ...], axis: int | None, *, masked: bool) -> PackedWeight | None:
    """Packs rows `(slices, weights per slice)`, each with its own codebook; None if a slice has too many values."""
    bits = rows.view(_UNSIGNED[rows.itemsize])
    kept = bits != 0 if masked else np.ones(bits.shape, bool)
    held = [np.unique(row[keep]) for row, keep in zip(bits, kept, strict=True)]
    if max(map(len, held)) > MAX_RADIX:
        return None
    lines, books = shared_codebooks(held)
    width = max(2, *map(len, lines))  # the radix is at least 2
    codebook = np.zeros((len(lines), width + masked), bits.dtype)
    for line, values in zip(codebook, lines, strict=True):
        line[: len(values)] = values
    order = range(len(rows)) if books is None else books
    codes = [np.searchsorted(lines[own], row[keep]) for own, row, keep in zip(order, bits, kept, strict=True)]
    return PackedWeight(
        shape=shape,
        axis=axis,
        mask=PackedDigits.pack(kept.reshape(-1).astype(np.int64), 2) if masked else None,
        codes=PackedDigits.pack(np.concatenate(codes), width),
        codebook=codebook.view(rows.dtype),
        books=books,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedDigits:
    """Numbers below `radix`, stored as the digits of words, least significant digit first.

    Three numbers below 6 fit into a byte (216 <= 256), which is 2.67 bits each instead of 3 whole bits; 22 numbers
    below 7 fit into two 32-bit words, 2.91 bits each. Division by the powers of the radix and a remainder restore all
    digits, with operators that every ONNX runtime has. Fields of 3 bits would cross byte boundaries, and ONNX has no
    operator to extract those. Wider words would save little and fail in OpenVINO, which computes with 64-bit integers
    as if they had 32 bits.
    """

    words: NDArray[Any]  # (words, 1), uint8 or int32
    radix: int  # 2 to 256
    count: int  # number of digits; the last word is padded with zeros

    @classmethod
    def pack(cls, digits: NDArray[np.integer[Any]], radix: int) -> PackedDigits:
        """Packs digits into bytes, or into 32-bit words if these are at least 3 % smaller.

        Args:
            digits: integers `(N,)`, each from 0 to `radix - 1`.
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
        """The powers of the radix, `(digits per word,)`; a word divided by one has that digit as its lowest."""
        return _powers(self.radix, self.words.dtype)

    def unpack(self) -> NDArray[np.int64]:
        """The digits, `(N,)` with N = `count`."""
        digits: NDArray[np.int64] = self.words.astype(np.int64) // self.powers % self.radix
        return digits.reshape(-1)[: self.count]


def _powers(radix: int, word: np.dtype[Any]) -> NDArray[np.int64]:
    powers = [1]
    while powers[-1] * radix**2 <= _CAPACITY[word]:
        powers.append(powers[-1] * radix)
    return np.array(powers, np.int64)
