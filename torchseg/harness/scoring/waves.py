"""Splits the files to score into waves, so that no more processes are open at once than memory and handles allow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from torchseg.harness.measure.pixel_counts import MetricAccumulator
from torchseg.harness.scoring.artifact import Artifact
from torchseg.harness.scoring.measurement import Measured
from torchseg.processes.memory import available_memory

if sys.platform != "win32":
    import resource

_MIB = 2**20
_MOST_BYTES = 4 * 2**30  # for all open files together, however much memory there is
_MEMORY_SHARE = 0.7  # of what is free now
_LIBRARY_BYTES: Mapping[str, int] = {"torch": 300 * _MIB, "openvino": 200 * _MIB}  # a process without its file
_OTHER_LIBRARY_BYTES = 80 * _MIB
_COPIES = 3  # the weights as read, as prepared for the kernels, and what the layers compute
_HANDLES = 3  # of this process, for each process that it starts: two pipes and a log
_SPARE_HANDLES = 40  # for probes, references, tables, images and libraries


@dataclass(frozen=True, kw_only=True)
class Room:
    """What all processes that are open at once may take together: how many, and an estimate of their bytes."""

    processes: int
    memory_bytes: int

    def holds(self, artifacts: Sequence[Artifact]) -> bool:
        """Whether these files can be open at once."""
        return len(artifacts) <= self.processes and sum(map(needed_bytes, artifacts)) <= self.memory_bytes


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Files that are open at once.

    Attributes:
        files: measured in this wave.
        again: baselines of these files that are measured in another wave. They are timed here once more, only for the
            latency ratios: a ratio is between two files that were timed in the same rounds.
    """

    files: list[Measured] = field(default_factory=list)
    again: list[Measured] = field(default_factory=list)

    @property
    def every(self) -> list[Measured]:
        """All files of the wave."""
        return [*self.files, *self.again]


def room_now() -> Room:
    """The room that memory and the limit of open files leave to this process; on Windows, memory alone."""
    memory = min(_MOST_BYTES, int(_MEMORY_SHARE * available_memory()))
    if sys.platform == "win32":
        return Room(processes=sys.maxsize, memory_bytes=memory)
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return Room(processes=sys.maxsize, memory_bytes=memory)
    free = limit - psutil.Process().num_fds() - _SPARE_HANDLES
    return Room(processes=max(2, free // _HANDLES), memory_bytes=memory)


def needed_bytes(artifact: Artifact) -> int:
    """An estimate, on the high side, of the memory of the process that opens a file."""
    try:
        size = artifact.file.size_bytes
    except ValueError:  # it is damaged, and opening it will say so
        size = 0
    return _LIBRARY_BYTES.get(artifact.runtime or artifact.format, _OTHER_LIBRARY_BYTES) + _COPIES * size


def plan_waves(files: Sequence[Measured], baseline_of: Callable[[Measured], Measured | None], room: Room) -> list[Wave]:
    """Puts the files into as few waves as their order allows; a single one if all fit, which is the usual case.

    Files are compared only within a wave, so files with the same baseline stand together, and a baseline that is in an
    earlier wave is opened again. The other way, to keep all files in the same rounds and to open each of them anew for
    every round, would load each file some ten times, and would time it with cold caches.

    Args:
        files: all files to score.
        baseline_of: the file that a file is compared with; None if there is none, or if it is the file itself.
        room: for one wave. A wave holds at least one file and its baseline, even if that is too much.
    """
    if room.holds([each.artifact for each in files]):
        return [Wave(files=list(files))]
    waves: list[Wave] = []
    for measured in _by_baseline(files, baseline_of):
        wave = waves[-1] if waves else None
        if wave is None or not _fits(measured, baseline_of(measured), wave, room):
            wave = Wave()
            waves.append(wave)
        wave.files.append(measured)
        baseline = baseline_of(measured)
        if baseline is not None and not _holds(wave, baseline):
            wave.again.append(timed_again(baseline))
    for wave in waves:  # a baseline that came into the same wave after the first file that needs it
        wave.again[:] = [each for each in wave.again if all(each.key != own.key for own in wave.files)]
    return waves


def timed_again(measured: Measured) -> Measured:
    """The same file without its measurements, to be timed in another wave."""
    return Measured(
        artifact=measured.artifact,
        name=measured.name,
        key=measured.key,
        spec=measured.spec,
        threads=measured.threads,
        accumulator=MetricAccumulator(len(measured.accumulator.counts)),
    )


def _by_baseline(files: Sequence[Measured], baseline_of: Callable[[Measured], Measured | None]) -> list[Measured]:
    """The files in their order, but those with one baseline directly behind it."""
    groups: dict[str, list[Measured]] = {}
    for measured in files:
        baseline = baseline_of(measured)
        groups.setdefault((baseline or measured).key, []).append(measured)
    for key, group in groups.items():
        group.sort(key=lambda each, key=key: each.key != key)  # type: ignore[misc]
    return [measured for group in groups.values() for measured in group]


def _fits(measured: Measured, baseline: Measured | None, wave: Wave, room: Room) -> bool:
    coming = [measured] if baseline is None or _holds(wave, baseline) else [measured, baseline]
    return room.holds([each.artifact for each in (*wave.every, *coming)])


def _holds(wave: Wave, measured: Measured) -> bool:
    return any(each.key == measured.key for each in wave.every)
