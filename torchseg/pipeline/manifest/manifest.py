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

from torchseg.atomic_file import save_text
from torchseg.modelfile.model_file import sha256_of
from torchseg.record import RecordError, build, read_json, with_checksum

MANIFEST, UNFINISHED = "manifest.json", ".unfinished.json"
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


@dataclass(frozen=True, kw_only=True)
class _Unfinished:
    """What `.unfinished.json` holds from the begin of a command until the manifest is written.

    Attributes:
        version: of this record.
        states: which version of each file was there when the command began, see `_states`.
    """

    version: int
    states: Mapping[str, str]


@contextmanager
def kept_manifest(run: Path, *, written_by_stages: Callable[[], Hashes]) -> Iterator[None]:
    """Records, when the block ends or fails, the files that were written in it.

    A command that is killed, or for whose manifest the disk has no space, leaves a note of how the run was when it
    began. The next command records with its own files those that have changed since.

    Args:
        run: folder of the run.
        written_by_stages: hashes that the stages recorded when they ended. They count for files of a command that did
            not come to this manifest.
    """
    before = _states(run)
    since = _left_by_another(run)
    if since is None:
        since = before
        _save(_Unfinished(version=VERSION, states=before), run / UNFINISHED)
    try:
        yield
    finally:
        _update(run, before, since, written_by_stages())
        (run / UNFINISHED).unlink(missing_ok=True)


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


def _left_by_another(run: Path) -> Mapping[str, str] | None:
    """How the run was before a command that did not come to its manifest; None if there was none."""
    path = run / UNFINISHED
    try:
        left = build(_Unfinished, read_json(path, remedy=""), path=path, remedy="") if path.is_file() else None
    except RecordError:
        return None
    return left.states if left and left.version == VERSION else None


def _update(run: Path, before: Mapping[str, str], since: Mapping[str, str], written: Hashes) -> None:
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
        elif name in written:
            hashes[name] = written[name]
        elif since.get(name) != state:  # a command wrote it that did not come to its manifest
            hashes[name] = sha256_of(run / name)
        elif name in recorded:  # else somebody put it there
            hashes[name] = recorded[name]
    gone = {name: digest for name, digest in recorded.items() if name not in {**now, **before, **since}}
    if hashes | gone != recorded:
        _save(Manifest(version=VERSION, entries=tuple(_chained(hashes | gone))), run / MANIFEST)


def _save(record: Manifest | _Unfinished, path: Path) -> None:
    save_text(path, json.dumps(with_checksum(asdict(record)), indent=2) + "\n")


def _chained(hashes: Hashes) -> Iterator[Entry]:
    chain = ""
    for name, digest in hashes.items():
        chain = hashlib.sha256(f"{chain}\n{name}\n{digest}".encode()).hexdigest()
        yield Entry(file=name, sha256=digest, chain=chain)


def _states(run: Path) -> dict[str, str]:
    """Which version of each file is there: it changes with every write, even of the same bytes."""
    found: dict[str, str] = {}
    for pattern in _PATTERNS:
        for path in sorted(run.glob(pattern)):
            if path.is_file() and not path.name.startswith(".") and not path.parent.name.startswith("."):
                state = path.stat()
                version = f"{state.st_mtime_ns} {state.st_size} {state.st_ino}"
                found.setdefault(path.relative_to(run).as_posix(), version)
    return found
