"""Messages between a runtime's process and its parent: pickles that can name arrays and records, and no other class.

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


_TUPLES = "torchseg.modelfile."  # what a file stores is described by the named tuples of these modules


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) in _ARRAYS | _COUNTS or (module.startswith(_TUPLES) and "." not in name):
            found: Callable[..., Any] = super().find_class(module, name)
            if not module.startswith(_TUPLES) or (isinstance(found, type) and hasattr(found, "_fields")):
                return found
        raise pickle.UnpicklingError(f"a message names {module}.{name}; expected arrays, counts and weights alone")


def write_message(message: object, stream: IO[bytes]) -> None:
    """Writes numbers, texts, arrays, counts, weights and containers of them."""
    pickle.dump(message, stream)
    stream.flush()


def read_message(stream: IO[bytes]) -> Any:
    """The next message of a stream.

    Raises:
        EOFError: at the end of the stream.
        pickle.UnpicklingError: if the message is incomplete or names another class or function.
    """
    return _Reader(stream).load()
