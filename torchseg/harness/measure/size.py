"""Size of a model file in bytes when it is compressed."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

_BLOCK = 1 << 20
_QUICK_LEVEL, _SLOW_LEVEL = 3, 19  # zstd levels; 19 is the highest standard one
_DENSE = 0.85


def gzip_bytes(parts: Sequence[Path]) -> int:
    """Bytes of a model file's parts after gzip at level 9, the size of a download; nothing is written."""
    sink = _Counter()
    with gzip.GzipFile(fileobj=cast(BinaryIO, sink), mode="wb", compresslevel=9, mtime=0, filename="") as packed:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, packed, _BLOCK)
    return sink.count


def zstd_bytes(parts: Sequence[Path]) -> int:
    """Bytes of a model file's parts after zstd at level 19, the size of a package or an update; nothing is written.

    Level 19 takes seconds per megabyte. Dense weights hardly compress at any level, so it is skipped for a file that
    keeps more than 85 % of its size at level 3.
    """
    quick, stored = _zstd(parts, _QUICK_LEVEL), sum(part.stat().st_size for part in parts)
    return quick if quick > _DENSE * stored else min(quick, _zstd(parts, _SLOW_LEVEL))


def _zstd(parts: Sequence[Path], level: int) -> int:
    import zstandard

    sink = _Counter()
    with zstandard.ZstdCompressor(level=level).stream_writer(cast(BinaryIO, sink), closefd=False) as packed:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, packed, _BLOCK)
    return sink.count


class _Counter:
    """A writable file that only counts bytes."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, data: bytes) -> int:
        self.count += len(data)
        return len(data)

    def flush(self) -> None:
        """Does nothing: no data is buffered."""
