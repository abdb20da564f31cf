"""A run on disk: which stages are done, and with which inputs."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from torchseg.atomic_file import partial_file
from torchseg.checkpoint import sha256_of

_STAMPS = ".stages"
_WORK = ".work"
_LOCK = ".lock"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the chain.

    Attributes:
        name: unique within the run; may hold slashes.
        inputs: plain values that its outputs depend on; digests of earlier stages among them.
        outputs: files and folders below the run folder that exist once it is done.
        run: does the work. It writes below the folder that it is given, and what it wrote there is moved to the run
            folder when it returns.
    """

    name: str
    inputs: Mapping[str, Any]
    outputs: Sequence[str]
    run: Callable[[Path], None]


class RunFolder:
    """Runs stages that are not done yet, or whose inputs or outputs have changed since.

    Args:
        path: the folder; made if it is missing.

    Raises:
        ValueError: if the folder has content that no run wrote.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise ValueError(f"--out {path} is a file; give a folder")
        if path.is_dir() and any(path.iterdir()) and not (path / _STAMPS).is_dir():
            raise ValueError(f"--out {path} has files that no run of this project wrote; give a new folder")
        (path / _STAMPS).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps every other process from running in this folder; the lock ends with the process that holds it.

        Raises:
            ValueError: if another one runs here.
        """
        try:
            holding = FileLock(self.path / _LOCK).acquire(timeout=0)
        except Timeout as error:
            raise ValueError(
                f"another command is running in {self.path}; wait until it has ended, or give another --out"
            ) from error
        with holding:
            yield

    def forget(self) -> None:
        """Removes everything that earlier runs left here."""
        for child in self.path.iterdir():
            if child.name != _LOCK:  # a new file of that name could be locked beside the old one
                _remove(child)
        (self.path / _STAMPS).mkdir()

    def is_done(self, stage: Stage) -> bool:
        """Whether the stage has run with these inputs and its outputs are still what it wrote."""
        stamp = self._recorded(stage.name)
        if not stamp or stamp["key"] != _key(stage) or sorted(stamp["outputs"]) != sorted(stage.outputs):
            return False
        return all(_digest(self.path / name) == digest for name, digest in stamp["outputs"].items())

    def do(self, stage: Stage, *, writes: bool = True, wait: Callable[[], object] = lambda: None) -> bool:
        """Runs the stage unless it is done; says whether it ran. Half-finished outputs never get their final name.

        Args:
            stage: to run.
            writes: whether this process is the one that moves and stamps the outputs.
            wait: returns when all processes of the run have called it.
        """
        done = self.is_done(stage)
        wait()
        if done:
            _LOG.info("%s: done before", stage.name)
            return False
        work = self._work(stage) if writes else self._work_path(stage)
        wait()
        stage.run(work)
        wait()
        if writes:
            self._finish(stage, work)
        wait()
        _LOG.info("%s: done", stage.name)
        return True

    def _finish(self, stage: Stage, work: Path) -> None:
        before = set(self._recorded(stage.name).get("outputs", ()))
        for name in before - set(stage.outputs):  # a given teacher has no curves, a trained one had
            _remove(self.path / name)
        for name in stage.outputs:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            if (self.path / name).is_dir():
                _remove(self.path / name)
            (work / name).replace(self.path / name)
        shutil.rmtree(work)
        self.note(stage)

    def note(self, stage: Stage) -> None:
        """Marks a stage as done whose outputs are in their final places already."""
        stamp = {
            "key": _key(stage),
            "inputs": dict(stage.inputs),
            "outputs": {name: _digest(self.path / name) for name in stage.outputs},
        }
        with partial_file(self._stamp(stage.name)) as partial:
            partial.write_text(json.dumps(stamp, indent=2, default=str), encoding="utf-8")

    def _work(self, stage: Stage) -> Path:
        """Where the stage writes; kept from an interrupted call with the same inputs, to go on from there."""
        folder = self._work_path(stage)
        mark = folder / ".key"
        if not mark.is_file() or mark.read_text(encoding="utf-8") != _key(stage):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mark.write_text(_key(stage), encoding="utf-8")
        return folder

    def digest(self, name: str) -> str:
        """What a finished stage left: changes when, and only when, one of its output files does."""
        outputs = json.loads(self._stamp(name).read_text(encoding="utf-8"))["outputs"]
        return hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()

    def _recorded(self, name: str) -> dict[str, Any]:
        """The stamp that the stage left when it last ended; empty if there is none that can be read."""
        try:
            return dict(json.loads(self._stamp(name).read_text(encoding="utf-8")))
        except (OSError, json.JSONDecodeError):
            return {}

    def _work_path(self, stage: Stage) -> Path:
        return self.path / _WORK / stage.name.replace("/", "-")

    def _stamp(self, name: str) -> Path:
        return self.path / _STAMPS / f"{name.replace('/', '-')}.json"


def held_run(path: Path) -> AbstractContextManager[None]:
    """Keeps other commands out of a folder while it is written to, if it is that of a run; raises as `held`."""
    return RunFolder(path).held() if is_run(path) else nullcontext()


def is_run(path: Path) -> bool:
    """Whether stages have run in this folder."""
    return (path / _STAMPS).is_dir()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _key(stage: Stage) -> str:
    text = json.dumps({"name": stage.name, "inputs": dict(stage.inputs)}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(path: Path) -> str:
    if path.is_dir():
        return "folder"
    return sha256_of(path) if path.is_file() else "missing"
