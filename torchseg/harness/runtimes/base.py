"""The protocol that every runtime implements."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from torchseg.modelfile.run_options import DEFAULT_OPTIONS, RunOptions


@dataclass(frozen=True, kw_only=True)
class RuntimeInfo:
    """Conditions under which a runtime computes, reported with each of its measurements.

    Attributes:
        name: key in `RUNTIMES`.
        version: version of the library.
        threads: threads per prediction.
        arithmetic: number format in which convolutions compute, and the stored format if it differs, e.g. `float32`,
            `int8`, `float32 from float16`.
        input_shape: as the file declares it, in the file's own layout; None for a dynamic dimension.
        layout: layout of the file, `NCHW` or `NHWC`.
        fast_path: delegate that should compute the whole graph, e.g. `XNNPACK`; empty if the runtime has none.
        leftovers: operator types outside the fast path, sorted, one entry per operator; each one costs a copy out of
            the fast path and back.
        note: which of several outputs was read, if there was a choice; complete once the file has run.
        gives_classes: whether its output was classes and not scores; complete once it has run.
    """

    name: str
    version: str
    threads: int
    arithmetic: str = "float32"
    input_shape: tuple[int | None, ...] = ()
    layout: str = "NCHW"
    fast_path: str = ""
    leftovers: tuple[str, ...] = ()
    note: str = ""
    gives_classes: bool = False


class Runtime(Protocol):
    """Runs one model file: float32 `(B, C, H, W)` in, logits `(B, K, H, W)` out, for any layout and I/O dtype."""

    def load(self, path: Path, options: RunOptions = DEFAULT_OPTIONS) -> None:
        """Opens the file; raises ValueError if this runtime cannot open it, or it has no output that is named."""
        ...

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(B, K, H, W)` of normalised images `(B, C, H, W)`."""
        ...

    def describe(self) -> RuntimeInfo:
        """Conditions under which `predict` computes; complete once a file is loaded."""
        ...
