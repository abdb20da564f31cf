"""Progress of a long job: a bar on a terminal, elsewhere log records that a command shows as plain lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from torchseg.console import STDERR

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows progress through `total` steps under a label, on stderr, so that results can be piped."""

    def __init__(self, total: int, label: str) -> None:
        self._total = total
        self._label = label
        self._done = 0
        self._begin = self._printed = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=label, leave=False)

    def advance(self, steps: int = 1) -> None:
        """Records `steps` more steps as done."""
        self._done += steps
        if self._bar is not None:
            self._bar.update(steps)
            return
        now = time.monotonic()
        if self._done >= self._total or now - self._printed >= _SECONDS_BETWEEN_LINES:
            self._printed = now
            left = (now - self._begin) / max(self._done, 1) * (self._total - self._done)
            ending = f", about {left:.0f} s left" if self._done < self._total else ""
            STDERR.info(f"{self._label}: {self._done}/{self._total}{ending}")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
