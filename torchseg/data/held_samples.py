"""Samples that are read once and then kept in memory."""

from __future__ import annotations

from typing import Any

from torchseg.data.sample import Sample, Samples

MEMORY_LIMIT_BYTES = 800 * 2**20


class HeldSamples:
    """Keeps what it has read while it fits into `limit_bytes`; what comes after that is read every time."""

    def __init__(self, samples: Samples, *, limit_bytes: int = MEMORY_LIMIT_BYTES) -> None:
        self.samples, self.limit_bytes, self.room = samples, limit_bytes, limit_bytes
        self._held: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Reads a sample, from memory the second time."""
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
        """Without what it holds: a process that begins afresh would receive a copy of hundreds of MiB."""
        return {**self.__dict__, "room": self.limit_bytes, "_held": {}}
