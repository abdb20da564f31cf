"""A first run of a model file where a crash harms nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.spec import ImageSpec


def try_model_file(path: Path, spec: ImageSpec) -> None:
    """Opens the file and runs it once in a process of its own, before this process opens it.

    Raises:
        ValueError: if its runtime refuses it, hangs or crashes.
    """
    with RuntimeProcess(path) as process:
        process.load()
        process.predict(np.zeros((1, spec.channels, spec.height, spec.width), np.float32))
