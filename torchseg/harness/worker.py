"""What the process of a runtime does for its parent.

Nothing heavy is imported before `start`, so that the measured memory and time belong to one runtime alone.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.host import peak_memory_mb
from torchseg.harness.postprocess import ValueKind, check_finite, labels_of, probabilities_of, resize_logits
from torchseg.harness.runtimes.base import Runtime
from torchseg.harness.runtimes.registry import new_runtime
from torchseg.modelfile.kinds import check_readable
from torchseg.modelfile.run_options import RunOptions

if TYPE_CHECKING:
    from torchseg.harness.measure.pixel_counts import BatchCounts

Array = NDArray[np.float32]
Size = tuple[int, int]
_SETTLE_S = 0.02  # caches and the CPU's clock need this long to recover from the model file timed before


class Worker:
    """One runtime and the calls that the parent may make on it: each public method is one call."""

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._threads = threads
        self._empty_mb = peak_memory_mb()
        self._runtime: Runtime | None = None
        self._path: Path | None = None
        self._kind = ValueKind()

    def start(self) -> None:
        """Imports the runtime's library."""
        self._runtime = new_runtime(self._name, threads=self._threads)

    def load(self, path: str, options: dict[str, Any]) -> float:
        """Opens the model file and returns the time that took, in milliseconds; `RunOptions` come as a dictionary."""
        self._path, chosen = Path(path), RunOptions(**options)
        self._kind = ValueKind(chosen.kind)
        check_readable(self._path)
        begin = time.perf_counter()
        self._opened.load(self._path, chosen)
        return (time.perf_counter() - begin) * 1e3

    def predict(self, images: Array) -> Array:
        """Logits `(B, K, H, W)` of normalised images `(B, C, H, W)`."""
        return self._opened.predict(images)

    def labels(self, images: Array, size: Size) -> NDArray[np.uint8]:
        """Classes `(B, *size)`; the argmax is taken here because labels are cheaper to send than logits."""
        height, width = size
        logits = self._opened.predict(images)
        return labels_of(resize_logits(logits, height=height, width=width), kind=self._kind.of(logits))

    def probabilities(self, images: Array) -> Array:
        """Probability of each class, `(B, K, H, W)`, of normalised images `(B, C, H, W)`."""
        logits = self._opened.predict(images)
        check_finite(logits)
        return probabilities_of(logits, kind=self._kind.of(logits))

    def evaluate_batch(self, images: Array, masks: NDArray[np.uint8], num_classes: int) -> BatchCounts:
        """Predicts images `(B, C, h, w)` and counts the pixels against masks `(B, H, W)`, at the masks' size."""
        from torchseg.harness.measure.pixel_counts import check_output_channels, evaluate_batch

        logits = self._opened.predict(images)
        check_output_channels(logits.shape[1], num_classes)
        check_finite(logits)
        kind = self._kind.of(logits)
        resized = resize_logits(logits, height=masks.shape[1], width=masks.shape[2])
        return evaluate_batch(resized, masks, num_classes=num_classes, kind=kind)

    def output_kind(self) -> str:
        """`classes`, or the kind that the values were taken for, see `ValueKind`; empty if nothing has shown it yet."""
        return "classes" if self._opened.describe().gives_classes else self._kind.name

    def time(self, image: Array, repeats: int, warmup: int) -> list[float]:
        """Milliseconds of each recorded prediction, after at least `warmup` unrecorded ones and `_SETTLE_S` seconds."""
        started = time.perf_counter()
        while warmup > 0 or time.perf_counter() - started < _SETTLE_S:
            self._opened.predict(image)
            warmup -= 1
        taken = []
        for _ in range(repeats):
            begin = time.perf_counter()
            self._opened.predict(image)
            taken.append((time.perf_counter() - begin) * 1e3)
        return taken

    def time_traced(self, image: Array, repeats: int) -> list[tuple[float, float]]:
        """Milliseconds and peak MiB of Python objects, per prediction; the time includes the cost of tracing memory."""
        import tracemalloc

        taken = []
        for _ in range(repeats):
            begin = time.perf_counter()
            tracemalloc.start()
            self._opened.predict(image)
            elapsed = (time.perf_counter() - begin) * 1e3
            taken.append((elapsed, tracemalloc.get_traced_memory()[1] / 2**20))
            tracemalloc.stop()
        return taken

    def describe(self) -> dict[str, Any]:
        """`RuntimeInfo` as a dictionary."""
        return asdict(self._opened.describe())

    def peak_rss_mb(self) -> float:
        """Peak resident memory so far, in MiB, above that of the empty process; includes the library."""
        return max(0.0, peak_memory_mb() - self._empty_mb)

    def count_weights(self) -> dict[str, Any]:
        """`WeightCount` of the loaded file as a dictionary."""
        from torchseg.harness.measure.weights import count_weights, weights_in

        return asdict(count_weights(weight.rows for weight in weights_in(self.path)))

    def multiply_adds(self, image_shape: tuple[int, ...]) -> int | None:
        """Multiply-adds for one image `(1, C, H, W)`; None if the loaded file does not declare its tensor shapes."""
        from torchseg.harness.measure.multiply_adds import multiply_adds_in

        return multiply_adds_in(self.path, image_shape)

    def profile(self, image: Array) -> dict[str, Any]:
        """`Profile` of the loaded file for one image `(1, C, H, W)`, as a dictionary."""
        from torchseg.harness.profiling.registry import profile_file

        return asdict(profile_file(self._name, self.path, image, threads=self._threads))

    @property
    def path(self) -> Path:
        """The loaded file."""
        assert self._path is not None, "load comes first"
        return self._path

    @property
    def _opened(self) -> Runtime:
        assert self._runtime is not None, "start comes first"
        return self._runtime
