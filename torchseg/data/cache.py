"""Caches decoded samples in memory or in one memory-mapped file, and reads samples in parallel."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from torchseg.atomic_file import naming, save_text
from torchseg.data.sample import Sample, Samples
from torchseg.processes.group import end_with_parent, no_child_left
from torchseg.record import build, json_in

_LOG = logging.getLogger(__name__)
_BYTES, _INDEX = ".bin", ".json"

MEMORY_LIMIT_BYTES = 800 * 2**20

FEW_SAMPLES = 64  # fewer samples are read faster than another process starts
_BLOCK, _CHUNK = 256, 8  # samples in memory at a time; samples per task of a reading process

_samples: Samples  # set in each reading process
_MOST_PROCESSES = 61  # Windows cannot wait for more at once


@dataclass(frozen=True, kw_only=True)
class _Row:
    """Where a sample is in the file of pixels: its picture `(H, W, C)`, then its mask."""

    name: str
    shape: tuple[int, int, int]
    offset: int
    crc32: int  # of picture and mask


@dataclass(frozen=True, kw_only=True)
class _Index:
    rows: tuple[_Row, ...]


def _read_index(path: Path) -> tuple[_Row, ...]:
    remedy = f"delete {path} and run the same command again"
    return build(_Index, {"rows": json_in(path, remedy=remedy)}, path=path, remedy=remedy).rows


def cache_files(name: str) -> tuple[str, str]:
    """Names of the two files of the cache `name`: pixels, and their index with a checksum of each sample."""
    return name + _BYTES, name + _INDEX


class CacheWriter:
    """Appends samples to `path.bin` while they fit, and writes their index to `path.json` on `close`.

    Args:
        path: path without suffix; its folder is created.
        limit_bytes: largest size of the file; the first sample that does not fit, and all after it, are left out.
    """

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.with_name(path.name + _BYTES).open("wb")
        self._listing = path.with_name(path.name + _INDEX)
        self.room = limit_bytes
        self._rows: list[_Row] = []
        self._full = False

    def add(self, sample: Sample) -> None:
        """Appends the next sample; call it in the order of the samples' indices."""
        size = sample.picture.nbytes + sample.mask.nbytes
        self._full = self._full or size > self.room
        if self._full:
            return
        content = np.concatenate([sample.picture.reshape(-1), sample.mask.reshape(-1)])
        shape = sample.picture.shape[0], sample.picture.shape[1], sample.picture.shape[2]
        crc32 = zlib.crc32(content.data)
        self._rows.append(_Row(name=sample.name, shape=shape, offset=self._file.tell(), crc32=crc32))
        with naming(Path(self._file.name)):
            self._file.write(content.data)
        self.room -= size

    def close(self) -> None:
        """Closes the file and writes its index."""
        self._file.close()
        save_text(self._listing, json.dumps([asdict(row) for row in self._rows]))


class CachedSamples:
    """Samples read from the file of a `CacheWriter`; samples that did not fit are read from their source.

    Args:
        path: the path that the writer was given.
        samples: the samples that the writer was given, in the same order.
    """

    def __init__(self, path: Path, samples: Samples) -> None:
        self.path, self._length = path, len(samples)
        self.rows = _read_index(path.with_name(path.name + _INDEX))
        self._uncached = samples if len(self.rows) < len(samples) else None

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        """A sample whose arrays are read-only views of the file."""
        if index < 0 or index >= len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        if index >= len(self.rows):
            assert self._uncached is not None
            return self._uncached[index]
        row = self.rows[index]
        self._check(index)
        (height, width, channels), start = row.shape, row.offset
        middle = start + height * width * channels
        picture = self._bytes[start:middle].reshape(height, width, channels)
        return Sample(
            name=row.name, picture=picture, mask=self._bytes[middle : middle + height * width].reshape(height, width)
        )

    def _check(self, index: int) -> None:
        """Raises ValueError if the bytes of a sample have changed; compares them on the first read by each process."""
        if self._checked[index]:
            return
        row = self.rows[index]
        height, width, channels = row.shape
        start, size = row.offset, height * width * (channels + 1)  # the bands and the class of each pixel
        is_inside = min(row.shape) > 0 and 0 <= start <= len(self._bytes) - size
        if not is_inside or zlib.crc32(self._bytes[start : start + size].data) != row.crc32:
            file = self.path.with_name(self.path.name + _BYTES)
            raise ValueError(
                f"{file} is damaged: image {row.name} has not the checksum that was recorded; delete {file} and run "
                "the same command again"
            )
        self._checked[index] = True

    @cached_property
    def _checked(self) -> bytearray:
        return bytearray(len(self.rows))

    @cached_property
    def _bytes(self) -> NDArray[np.uint8]:
        """The memory-mapped file, opened by each process on its first read; processes share the pages."""
        if not self.rows:
            return np.zeros(0, np.uint8)
        return np.asarray(np.memmap(self.path.with_name(self.path.name + _BYTES), np.uint8, mode="r"))

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the memory map, which a spawned worker opens itself instead of receiving a copy."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_bytes", "_checked")}


class HeldSamples:
    """Keeps samples in memory once read, up to `limit_bytes`; samples that no longer fit are read every time."""

    def __init__(self, samples: Samples, *, limit_bytes: int = MEMORY_LIMIT_BYTES) -> None:
        self.samples, self.limit_bytes, self.room = samples, limit_bytes, limit_bytes
        self._held: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Reads a sample; from memory if it is held there."""
        if index < 0 or index >= len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        if index not in self._held:
            sample = self.samples[index]
            size = sample.picture.nbytes + sample.mask.nbytes
            if size > self.room:
                return sample
            self.room -= size
            self._held[index] = sample
        return self._held[index]

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the held samples: a spawned process would otherwise receive a copy of hundreds of MiB."""
        return {**self.__dict__, "room": self.limit_bytes, "_held": {}}


def read_in_order(samples: Samples, *, processes: int) -> Iterator[Sample]:
    """Yields every sample in the order of its index; errors while reading a sample are raised here.

    Args:
        samples: the samples to read.
        processes: number of reading processes; 1 reads in this process, which is faster for fewer than `FEW_SAMPLES`.
    """
    if isinstance(samples, HeldSamples):  # each sample is read only once here, so holding it would waste memory
        samples = samples.samples
    count = len(samples)
    if processes == 1:
        yield from (samples[index] for index in range(count))
        return
    read, lost = 0, -1  # samples so far, and how many there were when a process was lost
    while read < count:
        try:
            for sample in _read_from(samples, read, processes=min(processes, _MOST_PROCESSES)):
                yield sample
                read += 1
        except BrokenProcessPool as error:
            if lost >= 0:
                raise ValueError(
                    f"a process that reads images was killed twice, near images {lost} and {read} of {count}, probably "
                    "for lack of memory; give fewer --threads, or smaller images"
                ) from error
            lost = read
            _LOG.warning("a process that reads images was killed near image %d of %d; others go on", read, count)


def _read_from(samples: Samples, first: int, *, processes: int) -> Iterator[Sample]:
    """Yields the samples from this index on, read by other processes."""
    pool = ProcessPoolExecutor(processes, initializer=_start, initargs=(samples,))
    with pool, no_child_left():
        for start in range(first, len(samples), _BLOCK):
            yield from pool.map(_read, range(start, min(start + _BLOCK, len(samples))), chunksize=_CHUNK)


def _start(samples: Samples) -> None:
    global _samples
    _samples = samples
    end_with_parent()
    torch.set_num_threads(1)  # the processes share the cores already


def _read(index: int) -> Sample:
    return _samples[index]
