"""The one protocol behind which every runtime hides, and the table of runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class RuntimeInfo:
    """Conditions under which a runtime computes, quoted beside every number it makes."""

    name: str
    version: str
    threads: int


class Runtime(Protocol):
    """Runs one model file. Speaks float32 `(B, C, H, W)` in, `(B, K, H, W)` logits out, whatever the file holds."""

    def load(self, path: Path) -> None:
        """Opens the file; raises ValueError when it cannot be a model of this runtime."""
        ...

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(B, K, H, W)` of normalised images `(B, C, H, W)`."""
        ...

    def describe(self) -> RuntimeInfo:
        """Name, version and threads."""
        ...
