"""A run on disk: which stages are done, and with which inputs."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torchseg.atomic_file import move_over, partial_file, save_text, sync
from torchseg.checkpoint import sha256_of
from torchseg.checks import check_name
from torchseg.console import STDOUT
from torchseg.pipeline.manifest.manifest import UNFINISHED, kept_manifest
from torchseg.pipeline.run.lock import LOCK, locked
from torchseg.progress_bar import Progress
from torchseg.record import RecordError, build, read_json, with_checksum

_STAMPS = ".stages"
_WORK = ".work"
_REMEDY = "run the same command again"
_CHECKED_BY_READER = ".bin"  # files too large to be read again for every command; their reader compares checksums
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of the pipeline.

    Attributes:
        name: unique within the run; may contain slashes.
        inputs: plain values that its outputs depend on, including digests of earlier stages.
        outputs: files and folders, relative to the run folder, that exist once it is done.
        run: does the work. It gets a work folder and writes its outputs there; they are moved to the run folder when it
            returns.
    """

    name: str
    inputs: Mapping[str, Any]
    outputs: Sequence[str]
    run: Callable[[Path], None]


@dataclass(frozen=True, kw_only=True)
class _Stamp:
    """What `.stages/NAME.json` says of a stage that is done: the hash of its inputs, and that of each output."""

    key: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, str]

    def __post_init__(self) -> None:
        for name in self.outputs:  # what a stage no longer writes is deleted
            for part in name.split("/"):
                check_name("part of an output", part, longest=255)


class RunFolder:
    """Runs the stages that are not done yet, or whose inputs or outputs have changed since.

    Args:
        path: the folder; created if it is missing.

    Raises:
        ValueError: if the folder has content that no run wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise ValueError(f"--out {path} is a file; give a folder")
        if path.is_dir() and not is_run(path) and any(child.name != LOCK for child in path.iterdir()):
            raise ValueError(f"--out {path} has files that no run of this project wrote; give a new folder")
        (path / _STAMPS).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Locks the folder against other processes, and records in the manifest what is written while it is held.

        The lock ends with the process that holds it.

        Raises:
            ValueError: if another process holds the lock.
        """
        with locked(self.path), kept_manifest(self.path, written_by_stages=self.written):
            yield

    def forget(self) -> None:
        """Removes everything that earlier runs left here; killed in the middle, it can be called again.

        The stamps go first, so that no stage seems done, but their folder stays: it makes this the folder of a run.
        """
        for child in (self.path / _STAMPS).iterdir():
            _remove(child)
        for child in self.path.iterdir():
            if child.name not in (LOCK, UNFINISHED, _STAMPS):
                _remove(child)

    def is_done(self, stage: Stage) -> bool:
        """Whether the stage ran with these inputs and its outputs have not changed since."""
        stamp = self._recorded(stage.name)
        if not stamp or stamp.key != _key(stage) or sorted(stamp.outputs) != sorted(stage.outputs):
            return False
        changed = [name for name, digest in stamp.outputs.items() if _digest(self.path / name) != digest]
        if changed and (self.path / changed[0]).exists():
            STDOUT.warning(f"{stage.name} runs again: {self.path / changed[0]} is not what the stage wrote")
        return not changed

    def do(self, stage: Stage, *, writes: bool = True, wait: Callable[[], object] = lambda: None) -> bool:
        """Runs the stage unless it is done; returns whether it ran. Unfinished outputs never get their final name.

        Args:
            stage: to run.
            writes: whether this process moves the outputs and marks the stage as done.
            wait: a barrier; returns when all processes of the run have called it.
        """
        done = self.is_done(stage)
        wait()
        if done:
            _LOG.info("%s: done before", stage.name)
            return False
        work = self._work(stage) if writes else self._work_path(stage)
        wait()
        with Progress(0, stage.name):
            stage.run(work)
        wait()
        if writes:
            self._finish(stage, work)
        wait()
        _LOG.info("%s: done", stage.name)
        return True

    def _finish(self, stage: Stage, work: Path) -> None:
        recorded = self._recorded(stage.name)
        before = set(recorded.outputs if recorded else ())
        for name in before - set(stage.outputs):  # a trained teacher had curves, a given one has none
            _remove(self.path / name)
        for name in stage.outputs:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            if (self.path / name).is_dir():
                _remove(self.path / name)
            _sync_all(work / name)
            move_over(work / name, self.path / name)
            sync((self.path / name).parent)
        shutil.rmtree(work)
        self.note(stage)

    def note(self, stage: Stage) -> None:
        """Marks a stage as done if its outputs are already in their final places."""
        stamp = _Stamp(
            key=_key(stage),
            inputs=dict(stage.inputs),
            outputs={name: _digest(self.path / name) for name in stage.outputs},
        )
        with partial_file(self._stamp(stage.name)) as partial:
            partial.write_text(json.dumps(with_checksum(asdict(stamp)), indent=2), encoding="utf-8")

    def _work(self, stage: Stage) -> Path:
        """The stage's work folder; one left by an interrupted run with the same inputs is kept, to resume from."""
        folder = self._work_path(stage)
        mark = folder / ".key"
        if not mark.is_file() or mark.read_bytes() != _key(stage).encode():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            save_text(mark, _key(stage))
        return folder

    def digest(self, name: str) -> str:
        """A hash of a finished stage's outputs: changes if, and only if, one of its output files does."""
        outputs = self._read(name).outputs
        return hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()

    def written(self) -> dict[str, str]:
        """Hashes of the files that stages wrote, now or earlier, by path; those of damaged stamps are left out."""
        written: dict[str, str] = {}
        for path in sorted((self.path / _STAMPS).glob("*.json")):
            with suppress(RecordError):
                outputs = _read_stamp(path).outputs
                written |= {name: digest for name, digest in outputs.items() if (self.path / name).is_file()}
        return written

    def _recorded(self, name: str) -> _Stamp | None:
        """The stamp of the stage's last completed run; None if there is none, or with a warning if it is damaged."""
        if not self._stamp(name).is_file():
            return None
        try:
            return self._read(name)
        except RecordError as error:
            STDOUT.warning(f"{name} runs again: {error}")
            return None

    def _read(self, name: str) -> _Stamp:
        return _read_stamp(self._stamp(name))

    def _work_path(self, stage: Stage) -> Path:
        return self.path / _WORK / stage.name.replace("/", "-")

    def _stamp(self, name: str) -> Path:
        return self.path / _STAMPS / f"{name.replace('/', '-')}.json"


def held_run(path: Path) -> AbstractContextManager[None]:
    """Locks a folder if it is a run folder, as `RunFolder.held` does; does nothing for other folders."""
    return RunFolder(path).held() if is_run(path) else nullcontext()


def is_run(path: Path) -> bool:
    """Whether stages have run in this folder."""
    return (path / _STAMPS).is_dir()


def held_folder(path: Path) -> AbstractContextManager[None]:
    """Locks any folder; a run folder as `RunFolder.held` does."""
    return RunFolder(path).held() if is_run(path) else locked(path)


def _read_stamp(path: Path) -> _Stamp:
    return build(_Stamp, read_json(path, remedy=_REMEDY), path=path, remedy=_REMEDY)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync_all(path: Path) -> None:
    for each in (path, *path.rglob("*")):
        if each.exists():
            sync(each)


def _key(stage: Stage) -> str:
    text = json.dumps({"name": stage.name, "inputs": dict(stage.inputs)}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(path: Path) -> str:
    if path.is_dir():
        return "folder"
    if not path.is_file():
        return "missing"
    return f"{path.stat().st_size} bytes" if path.suffix == _CHECKED_BY_READER else sha256_of(path)
