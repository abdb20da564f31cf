"""One picture with its true classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A picture before normalisation, with its mask.

    Attributes:
        name: of the picture, unique within its data set.
        picture: uint8 RGB, `(H, W, C)`.
        mask: uint8 classes, `(H, W)`; the ignored value where nothing is known.
    """

    name: str
    picture: NDArray[np.uint8]
    mask: NDArray[np.uint8]


Samples: TypeAlias = Sequence[Sample]  # lazily read: indexing opens the files
