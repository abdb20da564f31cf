"""The one protocol behind which every runtime hides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class RuntimeInfo:
    """Conditions under which a runtime computes, quoted beside every number it makes.

    Attributes:
        name: key in `RUNTIMES`.
        version: of the library.
        threads: that compute one prediction.
        arithmetic: number format that convolutions compute in, and what the file stores where that differs, e.g.
            `float32`, `int8`, `float32 from float16`.
        input_shape: as the file declares it, in the file's own layout; None where a side is free.
        layout: `NCHW` or `NHWC`, what the file holds.
        fast_path: what should compute the whole graph, e.g. `XNNPACK`; empty where there is no such
            distinction.
        leftovers: kinds of operator that the fast path did not take, sorted, one entry per operator; each
            one costs a copy out of and back into it.
    """

    name: str
    version: str
    threads: int
    arithmetic: str = "float32"
    input_shape: tuple[int | None, ...] = ()
    layout: str = "NCHW"
    fast_path: str = ""
    leftovers: tuple[str, ...] = ()


class Runtime(Protocol):
    """Runs one model file: float32 `(B, C, H, W)` in, `(B, K, H, W)` logits out, whatever the file holds."""

    def load(self, path: Path) -> None:
        """Opens the file; raises ValueError when it cannot be a model of this runtime."""
        ...

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(B, K, H, W)` of normalised images `(B, C, H, W)`."""
        ...

    def describe(self) -> RuntimeInfo:
        """Conditions of what `predict` computes; complete once a file is loaded."""
        ...
