"""One weight tensor as a bitmask, codes and a codebook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.packing.packed_digits import MAX_RADIX, PackedDigits

_UNSIGNED = {4: np.uint32, 1: np.uint8}  # by item size; values are told apart by their bits
_NEGATIVE_ZERO = 0x80000000
# What the rebuilding operators take in a file with short names.
_CODES_BYTES, _MASK_BYTES, _CHANNELS_BYTES, _TRANSPOSE_BYTES = 210, 220, 45, 45


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
