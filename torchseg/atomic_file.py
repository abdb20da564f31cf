"""Atomic writes: a file appears under its final name only when it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def partial_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path next to `path`, which is renamed to `path` on success and deleted on failure.

    The suffix is kept, because writers and readers infer the format from it. Parent folders are created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        partial.chmod(_mode_of_new_files())  # some libraries write files that their owner alone can read
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _mode_of_new_files() -> int:
    mask = os.umask(0o077)  # which can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask
