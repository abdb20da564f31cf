"""Messages between a runtime's process and its parent: pickles that can name arrays and counts, and no other class.

The child opens files from strangers. What it sends is read without the part of pickle that looks up any function by
its name and calls it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import IO, Any

_ARRAYS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),  # makes an empty array, which the message then fills
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
}
_COUNTS = {
    ("torchseg.harness.measure.pixel_counts", "BatchCounts"),
    ("torchseg.metrics.boundary", "BoundaryCounts"),
    ("torchseg.metrics.precision_recall", "ScoreCounts"),
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) not in _ARRAYS | _COUNTS:
            raise pickle.UnpicklingError(f"a message names {module}.{name}; expected arrays and counts alone")
        found: Callable[..., Any] = super().find_class(module, name)
        return found


def write_message(message: object, stream: IO[bytes]) -> None:
    """Writes numbers, texts, arrays, counts and containers of them."""
    pickle.dump(message, stream)
    stream.flush()


def read_message(stream: IO[bytes]) -> Any:
    """The next message of a stream.

    Raises:
        EOFError: at the end of the stream.
        pickle.UnpicklingError: if the message is incomplete or names another class or function.
    """
    return _Reader(stream).load()
