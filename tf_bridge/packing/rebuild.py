"""Builds the ONNX operators that turn packed weights back into dense tensors when a runtime loads the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.packing.codebook import PackedDigits, PackedWeight

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto


class PackedRebuild:
    """Collects the nodes and constants that rebuild any number of weights; equal constants are stored once.

    It uses only standard operators of opset 13, on constants and with dtypes that runtimes have kernels for, so that
    constant folding in ONNX Runtime leaves an ordinary weight.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._tables: dict[int, str] = {}  # by radix
        self._columns: dict[tuple[int, str], str] = {}  # of zeros, by length and dtype
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._values = 0

    def add(self, name: str, packed: PackedWeight) -> None:
        """Adds the operators that rebuild a weight; their result is called `name`."""
        stream = self._stream(packed)
        if packed.mask is not None:
            stream = self._spread(stream, packed)
        digits = packed.mask or packed.codes  # one for each weight
        assert digits is not None
        size = int(np.prod(packed.shape))
        if _length(digits) != size:
            stream = self._node("Slice", stream, self._ints([0]), self._ints([size]))
        if packed.axis is not None:
            codes = self._node("Reshape", stream, self._ints([packed.slices, -1]))
            stream = self._node("GatherElements", self._codebooks(packed), codes, axis=1)
        if packed.axis:
            moved = self._node("Reshape", stream, self._ints(packed.moved_shape))
            order = [*range(1, packed.axis + 1), 0, *range(packed.axis + 1, len(packed.shape))]
            self._node("Transpose", moved, output=name, perm=order)
        else:
            self._node("Reshape", stream, self._ints(packed.shape), output=name)

    def _stream(self, packed: PackedWeight) -> str:
        """All values in order if the tensor has one codebook, else all codes: `(N,)`, including the padding."""
        if packed.codes is None:
            return self._constant(packed.codebook[0, :-1])
        if packed.axis is not None:
            return self._digits(packed.codes)
        codebook = self._constant(packed.codebook[0])
        if _is_wide(packed.codes):
            return self._node("GatherElements", codebook, self._digits(packed.codes), axis=0)
        # Looks up the values of every possible byte once: gathering rows is several times faster than single values.
        return self._look_up(packed.codes, self._node("Gather", codebook, self._table(packed.codes)))

    def _codebooks(self, packed: PackedWeight) -> str:
        """The codebook of each slice, `(slices, values)`; behind a mask they end in a zero, which is not stored."""
        if packed.mask is None:
            return self._of_slices(self._constant(packed.codebook), packed)
        stored = self._of_slices(self._constant(packed.codebook[:, :-1]), packed)
        return self._node("Concat", stored, self._zeros(packed.slices, packed.codebook.dtype), axis=1)

    def _of_slices(self, codebooks: str, packed: PackedWeight) -> str:
        if packed.books is None:
            return codebooks
        return self._node("Gather", codebooks, self._as_int32(self._constant(packed.books)))

    def _zeros(self, count: int, dtype: np.dtype[Any]) -> str:
        """A column of zeros, `(count, 1)`; one for all tensors with as many slices."""
        from onnx import numpy_helper

        key = (count, dtype.str)
        if key not in self._columns:
            zero = numpy_helper.from_array(np.zeros(1, dtype))
            self._columns[key] = self._node("ConstantOfShape", self._ints([count, 1]), value=zero)
        return self._columns[key]

    def _digits(self, packed: PackedDigits) -> str:
        """All digits of all words: `(N,)`, int32, including the padding."""
        if _is_wide(packed):
            return self._node("Reshape", self._divide(self._constant(packed.words), packed), self._ints([-1]))
        return self._look_up(packed, self._table(packed))

    def _table(self, packed: PackedDigits) -> str:
        """The digits of every possible byte, `(256, digits)`, int32; one table per radix."""
        if packed.radix not in self._tables:
            numbers = self._constant(np.arange(256, dtype=np.uint8)[:, None])
            self._tables[packed.radix] = self._divide(self._as_int32(numbers), packed)
        return self._tables[packed.radix]

    def _look_up(self, packed: PackedDigits, table: str) -> str:
        """Rows of a table in the order of the bytes, flattened to `(N,)`."""
        rows = self._node("Gather", table, self._as_int32(self._constant(packed.words[:, 0])))
        return self._node("Reshape", rows, self._ints([-1]))

    def _divide(self, words: str, packed: PackedDigits) -> str:
        """Turns words `(words, 1)` into their digits `(words, digits)`."""
        front = self._node("Div", words, self._constant(packed.powers.astype(np.int32)))
        return self._node("Mod", front, self._constant(np.array(packed.radix, np.int32)))

    def _spread(self, stream: str, packed: PackedWeight) -> str:
        """Puts each value or code at the position of its weight, and that of zero everywhere else: `(N,)`."""
        assert packed.mask is not None
        zero = np.zeros(1, packed.codebook.dtype)
        absent = self._constant(zero if packed.axis is None else np.array([-1], np.int32))
        kept = self._digits(packed.mask)
        counted = self._node("CumSum", kept, self._constant(np.array(0, np.int64)))
        order = self._node("Mul", counted, kept)
        return self._node("GatherElements", self._node("Concat", absent, stream, axis=0), order, axis=0)

    def _as_int32(self, numbers: str) -> str:
        """A cast to int32, because ONNX Runtime can neither divide bytes nor use them as indices."""
        from onnx import TensorProto

        return self._node("Cast", numbers, to=TensorProto.INT32)

    def _ints(self, values: Sequence[int]) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._known:
            self._known[key] = self._name()
            self.initializers.append(numpy_helper.from_array(values, self._known[key]))
        return self._known[key]

    def _node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = output or self._name()
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def _name(self) -> str:
        self._values += 1
        return f"packed.{self._values}"


def _is_wide(packed: PackedDigits) -> bool:
    return packed.words.dtype == np.int32


def _length(packed: PackedDigits) -> int:
    """Number of digits, including the padding of the last word."""
    return packed.words.size * len(packed.powers)
