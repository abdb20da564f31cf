"""The manifest of a run: the SHA-256 of every file that the run is judged by, each entry chained to those before it.

A command that holds the run folder records the files that it wrote. A file that changed while no command held the
folder keeps the hash of what the project wrote, so that `verify` finds the difference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from torchseg.atomic_file import partial_file
from torchseg.modelfile.model_file import sha256_of
from torchseg.record import RecordError, build, read_json, with_checksum

MANIFEST = "manifest.json"
VERSION = 1
_REMEDY = "delete it and run the command of the run again for a new one, if you trust the files beside it"
# In the order in which a run makes them; the log grows with every command, and the cache can be made again.
_PATTERNS = (
    *("config.yaml", "environment.json", "data.json", "*/model.safetensors", "*/card.json", "*/curves.csv"),
    *("artifacts/*", "*.csv", "figures/**/*", "report.html"),
)

Hashes = Mapping[str, str]
"""SHA-256 of files, in hex, by path relative to the run folder."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of a run.

    Attributes:
        file: path relative to the run folder, with slashes.
        sha256: of its bytes, in hex.
        chain: SHA-256 of the chain value of the entry before (empty for the first), the path and the hash.
    """

    file: str
    sha256: str
    chain: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `manifest.json` holds."""

    version: int
    entries: tuple[Entry, ...]

    @property
    def hashes(self) -> dict[str, str]:
        """The recorded hash of each file."""
        return {entry.file: entry.sha256 for entry in self.entries}


@contextmanager
def kept_manifest(run: Path, *, written_by_stages: Callable[[], Hashes]) -> Iterator[None]:
    """Records, when the block ends or fails, the files that were written in it.

    Args:
        run: folder of the run.
        written_by_stages: hashes that the stages recorded when they ended. They count for files of a command that was
            killed before it came to this manifest.
    """
    before = _states(run)
    try:
        yield
    finally:
        _update(run, before, written_by_stages())


def read_manifest(run: Path) -> Manifest:
    """The manifest of a run.

    Raises:
        RecordError: if it is missing, damaged, of another version, or its chain is broken.
    """
    path = run / MANIFEST
    if not path.is_file():
        raise RecordError(f"{path} is missing, so nothing says which files the run wrote; run its command again")
    manifest = build(Manifest, read_json(path, remedy=_REMEDY), path=path, remedy=_REMEDY)
    if manifest.version != VERSION:
        raise RecordError(f"{path} has version {manifest.version}; this release reads version {VERSION}")
    for entry, expected in zip(manifest.entries, _chained(manifest.hashes), strict=False):
        if entry != expected:
            raise RecordError(f"{path} is damaged: the chain breaks at {entry.file}; {_REMEDY}")
    if len(manifest.hashes) != len(manifest.entries):
        raise RecordError(f"{path} is damaged: it names a file twice; {_REMEDY}")
    return manifest


def manifest_problems(run: Path, manifest: Manifest) -> dict[str, str]:
    """What is wrong with each file of a run, empty if nothing; files that the manifest does not name come last."""
    found = {entry.file: _problem(run / entry.file, entry) for entry in manifest.entries}
    for name in _states(run):
        if name not in found:
            found[name] = f"no command of the run wrote it ({MANIFEST} does not name it); delete it or make it again"
    return found


def _problem(path: Path, entry: Entry) -> str:
    if not path.is_file():
        return f"missing, and {MANIFEST} names it; make it again"
    if sha256_of(path) != entry.sha256:
        return f"changed since the run wrote it (its SHA-256 is not that in {MANIFEST}); make it again"
    return ""


def _update(run: Path, before: Mapping[str, object], written: Hashes) -> None:
    now = _states(run)
    if not now:
        return
    try:
        recorded = read_manifest(run).hashes if (run / MANIFEST).is_file() else {}
    except RecordError:
        return  # verify must find it damaged; to replace it would hide that
    hashes: dict[str, str] = {}
    for name, state in now.items():
        if not recorded or before.get(name) != state:
            hashes[name] = sha256_of(run / name)
        elif name in written or name in recorded:  # else somebody put it there
            hashes[name] = written.get(name) or recorded[name]
    gone = {name: digest for name, digest in recorded.items() if name not in {**now, **before}}
    manifest = Manifest(version=VERSION, entries=tuple(_chained(hashes | gone)))
    if hashes | gone != recorded:
        with partial_file(run / MANIFEST) as partial:
            partial.write_text(json.dumps(with_checksum(asdict(manifest)), indent=2) + "\n", encoding="utf-8")


def _chained(hashes: Hashes) -> Iterator[Entry]:
    chain = ""
    for name, digest in hashes.items():
        chain = hashlib.sha256(f"{chain}\n{name}\n{digest}".encode()).hexdigest()
        yield Entry(file=name, sha256=digest, chain=chain)


def _states(run: Path) -> dict[str, tuple[int, int, int]]:
    """Which version of each file is there: it changes with every write, even of the same bytes."""
    found: dict[str, tuple[int, int, int]] = {}
    for pattern in _PATTERNS:
        for path in sorted(run.glob(pattern)):
            if path.is_file() and not path.name.startswith(".") and not path.parent.name.startswith("."):
                state = path.stat()
                found.setdefault(path.relative_to(run).as_posix(), (state.st_mtime_ns, state.st_size, state.st_ino))
    return found
