"""A model file that answers for pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.format import short_name
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.runtimes.validate import check_model_file
from torchseg.harness.sliding_window import Segment
from torchseg.pipeline.run.model_spec import spec_of


class OpenedModel:
    """Runs a model file in a process of its own: if the runtime crashes on the file, this process does not.

    Args:
        path: a checkpoint's folder, a `.onnx` or a `.tflite` file.
        name: in pictures and tables.
        segment: turns its answers into classes for a whole picture.
        threads: that compute one answer.

    Raises:
        ValueError: if the file cannot be a model, or does not say what pictures it takes.
    """

    def __init__(self, path: Path, name: str, *, segment: Segment, threads: int) -> None:
        check_model_file(path)
        self.name, self.spec = name, spec_of(path)
        self._segment = segment
        self._process = RuntimeProcess(path, threads=threads)

    def labels(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Classes of an RGB picture `(H, W, 3)`, `(H, W)`; raises ValueError if the file fails."""
        return self._segment(self._process.predict, picture, self.spec)

    def __enter__(self) -> OpenedModel:
        try:
            self._process.load()
        except ValueError:
            self._process.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.close()


def names_of(paths: Sequence[Path]) -> list[str]:
    """Short names; full ones for files that share a short one."""
    short = [short_name(path.as_posix()) for path in paths]
    return [name if short.count(name) == 1 else path.as_posix() for name, path in zip(short, paths, strict=True)]
