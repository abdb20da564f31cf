"""Counts zeros and distinct values in weights, to prove that a stage keeps the compression of earlier stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from torchseg.compress.layers import channel_rows, weight_layers

Per = Literal["tensor", "channel"]
_MOST_VALUES = 256  # a tensor with more distinct values than one byte can index was never clustered
_REPEATED = 0.75  # a tensor with more distinct values per element does not count as clustered


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """Counts for one weight tensor, or for all of them together.

    Attributes:
        tensor: name, or `total`.
        parameters: number of elements.
        channels: number of output channels.
        zeros: number of elements that are zero.
        unique_values: number of distinct nonzero values; in the total, the maximum over all tensors.
        unique_per_channel: number of distinct nonzero values within one output channel, the maximum over channels.
        nan: number of elements that are NaN.
        subnormal: number of subnormal elements, on which CPUs slow down.
        dtype: of the stored elements.
    """

    tensor: str
    parameters: int
    channels: int
    zeros: int
    unique_values: int
    unique_per_channel: int
    nan: int
    subnormal: int
    dtype: str

    @property
    def sparsity(self) -> float:
        """Share of zeros, in [0, 1]; 0 for an empty tensor."""
        return self.zeros / self.parameters if self.parameters else 0.0


def ledger_row(tensor: str, rows: NDArray[np.generic], *, dtype: str = "") -> LedgerRow:
    """Counts one weight.

    Args:
        tensor: name.
        rows: `(C_out, N)`, float or integer, one row per output channel; zero points already subtracted.
        dtype: stored dtype, if it differs from that of `rows`.
    """
    floating = rows.dtype.kind == "f"
    smallest = np.finfo(cast(Any, rows.dtype)).tiny if floating else 0
    size = np.abs(rows)
    return LedgerRow(
        tensor=tensor,
        parameters=rows.size,
        channels=len(rows),
        zeros=int((rows == 0).sum()),
        unique_values=_unique(rows),
        unique_per_channel=max((_unique(row) for row in rows), default=0),
        nan=int(np.isnan(rows).sum()) if floating else 0,
        subnormal=int(((size > 0) & (size < smallest)).sum()) if floating else 0,
        dtype=dtype or str(rows.dtype),
    )


def model_ledger(model: nn.Module) -> list[LedgerRow]:
    """One row per weight of a convolution, transposed convolution or linear layer, in the order of the network."""
    rows = []
    for name, layer in weight_layers(model).items():
        weight = cast(Tensor, layer.weight).detach().cpu()
        numbers = channel_rows(weight.float() if weight.dtype == torch.bfloat16 else weight, layer).numpy()
        rows.append(ledger_row(f"{name}.weight", numbers))
    return rows


def total(rows: Sequence[LedgerRow]) -> LedgerRow:
    """Combines all tensors in one row: the sum of each count, and the maximum of the distinct values."""
    return LedgerRow(
        tensor="total",
        parameters=sum(row.parameters for row in rows),
        channels=sum(row.channels for row in rows),
        zeros=sum(row.zeros for row in rows),
        unique_values=max((row.unique_values for row in rows), default=0),
        unique_per_channel=max((row.unique_per_channel for row in rows), default=0),
        nan=sum(row.nan for row in rows),
        subnormal=sum(row.subnormal for row in rows),
        dtype="/".join(sorted({row.dtype for row in rows})),
    )


def check_ledger(before: Sequence[LedgerRow], after: Sequence[LedgerRow], *, per: Per = "tensor") -> list[str]:
    """Lists the compression that a stage lost: fewer zeros, more distinct values, new NaN or subnormal elements.

    Tensors are compared by name; if names or sizes differ, as in a converted file, the totals are compared instead.

    Args:
        before: ledger of the earlier stage.
        after: ledger of the later stage.
        per: what shared one set of values. Distinct values are compared only for tensors that count as clustered: at
            most 256 values, and at most 0.75 per nonzero element.

    Returns:
        One sentence per loss; empty if nothing was lost.
    """
    known = {row.tensor: row for row in before}
    if all(row.tensor in known and row.parameters == known[row.tensor].parameters for row in after):
        pairs = [(known[row.tensor], row) for row in after]
    else:
        pairs = [(total(before), total(after))]
    return [loss for old, new in pairs for loss in _losses(old, new, per)]


@torch.no_grad()
def flush_subnormals(model: nn.Module) -> int:
    """Sets subnormal numbers, which slow CPUs down, to zero in every parameter and buffer; returns how many."""
    flushed = 0
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tiny = (tensor != 0) & (tensor.abs() < torch.finfo(tensor.dtype).tiny)
            flushed += int(tiny.sum())
            tensor.masked_fill_(tiny, 0.0)
    return flushed


def _unique(numbers: NDArray[np.generic]) -> int:
    return int(np.unique(numbers[numbers != 0]).size)


def _losses(old: LedgerRow, new: LedgerRow, per: Per) -> Iterator[str]:
    if new.zeros < old.zeros and new.sparsity < old.sparsity:
        yield f"{new.tensor}: {old.sparsity:.2%} zeros became {new.sparsity:.2%}"
    had, has, elements = old.unique_values, new.unique_values, old.parameters - old.zeros
    if per == "channel":
        had, has, elements = old.unique_per_channel, new.unique_per_channel, elements // max(1, old.channels)
    if had <= min(_MOST_VALUES, _REPEATED * elements) and has > had:
        yield f"{new.tensor}: {had} values per {per} became {has}"
    if new.nan > old.nan:
        yield f"{new.tensor}: {new.nan} elements are not a number"
    # Runtimes convert float16 to float32 when they load a file, where these values are no longer subnormal.
    if new.dtype == old.dtype and new.subnormal > old.subnormal:
        yield f"{new.tensor}: {new.subnormal} elements are subnormal; flush them"
