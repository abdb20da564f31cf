"""Times a model file layer by layer, in a runtime of the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.measure.layer_profile import Profile
from torchseg.harness.runtimes.table import RUNTIMES

Image = NDArray[np.float32]


def profile_file(name: str, path: Path, image: Image, *, threads: int, repeats: int = 20) -> Profile:
    """Times each layer of a model file.

    Args:
        name: runtime, a key of `RUNTIMES`.
        path: model file.
        image: one normalised image, `(1, C, H, W)`.
        threads: threads per prediction.
        repeats: recorded predictions; each layer gets its median time.

    Raises:
        ValueError: if this runtime has no profiler or cannot open the file.
    """
    profilers = {each: entry.profile for each, entry in RUNTIMES.items() if entry.profile}
    if name not in profilers:
        raise ValueError(f"there is no profiler for {name}; choose a file for {', '.join(sorted(profilers))}")
    return profilers[name](path, image, threads, repeats)
