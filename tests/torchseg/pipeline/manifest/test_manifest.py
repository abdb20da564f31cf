from __future__ import annotations

import errno
import json
import os

import pytest

from torchseg.atomic_file import save_text
from torchseg.pipeline.manifest.manifest import MANIFEST, UNFINISHED, manifest_problems, read_manifest
from torchseg.pipeline.run import folder as folder_module
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.record import RecordError, with_checksum


def _write(folder, name, text):
    path = folder.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def folder(tmp_path):
    """A run whose one command wrote a table, a checkpoint and a model file."""
    folder = RunFolder(tmp_path / "run")
    with folder.held():
        for name in ("scores.csv", "student/model.safetensors", "artifacts/student.fp32.onnx", "figures/gallery/0.png"):
            _write(folder, name, name)
    return folder


def _problems(folder):
    found = manifest_problems(folder.path, read_manifest(folder.path))
    return {name: problem.partition(" ")[0] for name, problem in found.items() if problem}


def _forge(folder, change):
    """Changes the manifest and repairs its checksum."""
    path = folder.path / MANIFEST
    values = json.loads(path.read_text())
    del values["checksum"]
    change(values["entries"])
    path.write_text(json.dumps(with_checksum(values)))


def test_what_a_command_wrote_holds(folder):
    assert len(read_manifest(folder.path).entries) == 4
    assert _problems(folder) == {}


def test_every_fault_is_found_and_not_the_first_alone(folder):
    _write(folder, "scores.csv", "better")
    (folder.path / "artifacts/student.fp32.onnx").unlink()
    _write(folder, "artifacts/other.fp32.onnx", "strange")
    assert _problems(folder) == {
        "scores.csv": "changed",
        "artifacts/student.fp32.onnx": "missing,",
        "artifacts/other.fp32.onnx": "no",
    }


def test_the_next_command_does_not_cover_up_a_change(folder):
    _write(folder, "scores.csv", "better")
    (folder.path / "student/model.safetensors").unlink()
    _write(folder, "artifacts/other.fp32.onnx", "strange")
    with folder.held():
        _write(folder, "report.html", "of the better scores")
    assert {*_problems(folder)} == {"scores.csv", "student/model.safetensors", "artifacts/other.fp32.onnx"}
    assert "report.html" in read_manifest(folder.path).hashes


def test_a_command_records_what_it_replaces_and_removes(folder):
    with folder.held():
        _write(folder, "scores.csv", "new")
        (folder.path / "artifacts/student.fp32.onnx").unlink()
    assert _problems(folder) == {}
    assert "artifacts/student.fp32.onnx" not in read_manifest(folder.path).hashes


def test_a_file_of_a_stage_that_was_killed_before_the_manifest_is_recorded_by_the_next_command(folder):
    def trains(work):
        (work / "student").mkdir()
        (work / "student/model.safetensors").write_text("trained again")

    folder.do(Stage(name="student", inputs={}, outputs=["student/model.safetensors"], run=trains))
    assert {*_problems(folder)} == {"student/model.safetensors"}
    with folder.held():
        pass
    assert _problems(folder) == {}


@pytest.fixture
def writes_no_manifest(folder, monkeypatch):
    """A command that replaces a figure, removes a table and makes a report, and finds the disk full at its manifest."""

    def full(path, text):
        if path.name == MANIFEST:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        save_text(path, text)

    with monkeypatch.context() as patched:
        patched.setattr("torchseg.pipeline.manifest.manifest.save_text", full)
        with pytest.raises(OSError, match=rf"No space left on device: .*{MANIFEST}"):
            _command(folder)


def _command(folder):
    with folder.held():
        _write(folder, "figures/gallery/0.png", "new")
        _write(folder, "report.html", "new")
        (folder.path / "scores.csv").unlink()


@pytest.mark.usefixtures("writes_no_manifest")
def test_what_a_command_wrote_that_had_no_space_for_its_manifest_is_recorded_by_the_next(folder):
    assert {*_problems(folder)} == {"figures/gallery/0.png", "report.html", "scores.csv"}
    with folder.held():
        pass
    assert _problems(folder) == {}
    assert not (folder.path / UNFINISHED).exists()


@pytest.mark.usefixtures("writes_no_manifest")
def test_what_changes_after_that_is_found_again(folder):
    with folder.held():
        pass
    _write(folder, "report.html", "better")
    with folder.held():
        _write(folder, "scores.csv", "new")
    assert {*_problems(folder)} == {"report.html"}


@pytest.mark.usefixtures("writes_no_manifest")
def test_a_damaged_note_of_an_unfinished_command_covers_up_nothing(folder):
    (folder.path / UNFINISHED).write_text("{")
    with folder.held():
        pass
    assert {*_problems(folder)} == {"figures/gallery/0.png", "report.html", "scores.csv"}


@pytest.mark.parametrize("steps", range(5))
def test_what_is_left_of_a_run_holds_when_its_emptying_is_stopped(folder, monkeypatch, steps):
    remove, left = folder_module._remove, [steps]

    def stops(path):
        if not left[0]:
            raise KeyboardInterrupt  # as SIGTERM does
        left[0] -= 1
        remove(path)

    def empties():
        with folder.held():
            folder.forget()

    with monkeypatch.context() as patched:
        patched.setattr(folder_module, "_remove", stops)
        with pytest.raises(KeyboardInterrupt):
            empties()
    assert _problems(folder) == {}
    empties()
    with folder.held():
        _write(folder, "scores.csv", "afresh")
    assert (_problems(folder), {*read_manifest(folder.path).hashes}) == ({}, {"scores.csv"})


def test_a_command_that_fails_records_what_it_wrote(folder):
    def fails():
        with folder.held():
            _write(folder, "scores.csv", "new")
            raise ValueError("no space")

    with pytest.raises(ValueError, match="no space"):
        fails()
    assert _problems(folder) == {}


def test_a_command_that_writes_nothing_leaves_the_manifest_as_it_is(folder):
    before = os.stat(folder.path / MANIFEST).st_mtime_ns
    with folder.held():
        pass
    assert os.stat(folder.path / MANIFEST).st_mtime_ns == before


@pytest.mark.parametrize(
    "change",
    [
        lambda entries: entries[0].update(sha256="0" * 64),
        lambda entries: entries[0].update(file="other.csv"),
        lambda entries: entries.pop(0),
        lambda entries: entries.insert(0, entries.pop()),
        lambda entries: entries.append(entries[0]),
    ],
)
def test_a_forged_entry_breaks_the_chain_and_no_command_repairs_it(folder, change):
    _forge(folder, change)
    for _ in range(2):
        with pytest.raises(RecordError, match=r"chain breaks at|names a file twice"):
            read_manifest(folder.path)
        with folder.held():
            _write(folder, "report.html", "new")


def test_a_run_without_a_manifest_says_what_to_do(tmp_path):
    with pytest.raises(RecordError, match=r"manifest\.json is missing.*run its command again"):
        read_manifest(tmp_path)
