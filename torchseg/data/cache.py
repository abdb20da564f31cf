"""Samples in one memory-mapped file: decoded and resized once, shared by every process that reads them."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.data.sample import Sample, Samples

_BYTES, _INDEX = ".bin", ".json"


class CacheWriter:
    """Appends samples to `path.bin` while they fit, and lists them in `path.json` when it is closed.

    Args:
        path: without an ending; its folder is made.
        limit_bytes: of the file; samples from the first on that does not fit are left out.
    """

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.with_name(path.name + _BYTES).open("wb")
        self._listing = path.with_name(path.name + _INDEX)
        self.room = limit_bytes
        self._rows: list[dict[str, Any]] = []
        self._full = False

    def add(self, sample: Sample) -> None:
        """Takes the next sample, in the order of its index."""
        size = sample.picture.nbytes + sample.mask.nbytes
        self._full = self._full or size > self.room
        if self._full:
            return
        self._rows.append({"name": sample.name, "shape": sample.mask.shape, "offset": self._file.tell()})
        self._file.write(np.ascontiguousarray(sample.picture).data)
        self._file.write(np.ascontiguousarray(sample.mask).data)
        self.room -= size

    def close(self) -> None:
        """Writes the list."""
        self._file.close()
        self._listing.write_text(json.dumps(self._rows), encoding="utf-8")


class CachedSamples:
    """What a `CacheWriter` wrote of some samples; those that did not fit are read as before.

    Args:
        path: that the writer was given.
        samples: that the writer was fed with, in their order.
    """

    def __init__(self, path: Path, samples: Samples) -> None:
        self.path, self._length = path, len(samples)
        self.rows = json.loads(path.with_name(path.name + _INDEX).read_text(encoding="utf-8"))
        self._uncached = samples if len(self.rows) < len(samples) else None

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        """A sample whose arrays are views of the file, not to be written to."""
        if index < 0 or index >= len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        if index >= len(self.rows):
            assert self._uncached is not None
            return self._uncached[index]
        row = self.rows[index]
        (height, width), start = row["shape"], row["offset"]
        middle = start + height * width * 3
        picture = self._bytes[start:middle].reshape(height, width, 3)
        return Sample(
            name=row["name"], picture=picture, mask=self._bytes[middle : middle + height * width].reshape(height, width)
        )

    @cached_property
    def _bytes(self) -> NDArray[np.uint8]:
        """Opened by each process when it first reads; the pages are shared."""
        if not self.rows:
            return np.zeros(0, np.uint8)
        return np.asarray(np.memmap(self.path.with_name(self.path.name + _BYTES), np.uint8, mode="r"))

    def __getstate__(self) -> dict[str, Any]:
        """Without the mapping, which a spawned worker opens for itself instead of receiving a copy."""
        return {name: value for name, value in self.__dict__.items() if name != "_bytes"}
