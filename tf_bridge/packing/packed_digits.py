"""Small whole numbers, several to a machine word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_RADIX = 256
_CAPACITY: Mapping[np.dtype[Any], int] = {np.dtype(np.uint8): 2**8, np.dtype(np.int32): 2**31}  # values of a word
_WORTH = 0.97  # bytes unpack several times faster by a table, so the wide word must save at least 3 %


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
