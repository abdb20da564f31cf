"""One weight as a model file stores it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class StoredWeight(NamedTuple):
    """Kernel of a convolution or matrix product.

    Attributes:
        name: in the file.
        rows: `(C_out, N)`, one row for each output channel; zero points are taken off, so that 0 means zero.
        dtype: as stored, e.g. `int8`.
    """

    name: str
    rows: NDArray[Any]
    dtype: str


def stored_weight(name: str, kernel: NDArray[Any], *, channel_axis: int, zero_point: NDArray[Any]) -> StoredWeight:
    """Puts output channels first and takes the zero point off.

    Args:
        name: in the file.
        kernel: of any shape.
        channel_axis: of the output channels.
        zero_point: one number, or one for each output channel; empty for floats.
    """
    rows = np.moveaxis(kernel, channel_axis, 0).reshape(kernel.shape[channel_axis], -1)  # (C_out, N)
    if np.any(zero_point):
        rows = rows.astype(np.int32) - zero_point.astype(np.int32).reshape(-1, 1)
    return StoredWeight(name, rows, str(kernel.dtype))
