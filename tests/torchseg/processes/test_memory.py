from __future__ import annotations

import os

import psutil
import pytest

from torchseg.processes.memory import _machine_memory, available_memory, memory_within, tells_of_no_memory

GB = 10**9
OLDER = "9:name=systemd:/\n4:memory:/job\n0::/\n"
OLDER_WITHOUT_LIMIT = 9223372036854771712


class Machine:
    total, available = 64 * GB, 40 * GB


@pytest.fixture
def group(tmp_path, monkeypatch):
    """Makes a control group with these files on a large machine, and gives the total and the available GB inside it."""
    monkeypatch.setattr("psutil.virtual_memory", Machine)
    monkeypatch.setattr("torchseg.processes.memory._machine_memory", lambda: Machine.total)

    def ask(files: dict[str, object], membership: str = "0::/job\n") -> tuple[float, float]:
        for name, text in files.items():
            (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "groups" / name).write_text(f"{text}\n")
        (tmp_path / "membership").write_text(membership)
        places = {"groups": tmp_path / "groups", "membership": tmp_path / "membership"}
        return memory_within(**places) / GB, available_memory(**places) / GB

    return ask


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"job/memory.max": "max", "job/memory.high": "max", "job/memory.current": 30 * GB},
        {"job/memory.max": "nonsense"},
        {"job/memory.max": 100 * GB},
    ],
)
def test_without_a_limit_below_it_the_memory_of_the_machine_counts(group, files):
    assert group(files) == (64, 40)


def test_a_container_has_the_memory_that_it_may_take(group):
    assert group({"job/memory.max": 2 * GB}) == (2, 2)
    assert group({"job/memory.current": GB}) == (2, 1)


def test_a_group_is_not_used_up_by_files_that_it_holds_in_memory(group):
    files = {"job/memory.max": 2 * GB, "job/memory.current": 2 * GB}
    stat = f"anon {GB // 2}\ninactive_file {GB}\nactive_file {GB // 2}"
    assert group(files) == (2, 0)
    assert group(files | {"job/memory.stat": stat}) == (2, 1.5)
    assert group(files | {"job/memory.stat": "no numbers"}) == (2, 0)


def test_a_group_that_is_slowed_down_before_its_limit_has_no_more_than_that(group):
    assert group({"job/memory.max": 4 * GB, "job/memory.high": 3 * GB, "job/memory.current": GB}) == (3, 2)


def test_the_group_above_limits_as_well(group):
    files = {"memory.max": 3 * GB, "memory.current": 2 * GB, "job/memory.max": "max", "job/memory.current": GB}
    assert group(files) == (3, 1)


def test_the_older_kind_of_groups_is_read_too(group):
    files = {"memory/job/memory.limit_in_bytes": 2 * GB, "memory/job/memory.usage_in_bytes": 2 * GB}
    stat = f"inactive_file 0\nactive_file 0\ntotal_inactive_file {GB // 4}\ntotal_active_file {GB // 4}"
    assert group(files | {"memory/job/memory.stat": stat}, OLDER) == (2, 0.5)
    assert group({"memory/job/memory.limit_in_bytes": OLDER_WITHOUT_LIMIT}, OLDER) == (64, 40)


def test_a_system_without_control_groups_has_all_its_memory(group, tmp_path):
    places = {"groups": tmp_path / "none", "membership": tmp_path / "none"}
    assert (memory_within(**places), available_memory(**places)) == (64 * GB, 40 * GB)


def test_the_memory_of_the_machine_is_known_on_every_system(monkeypatch):
    known = psutil.virtual_memory().total
    assert _machine_memory() == known
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert _machine_memory() == known


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes", True),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", True),
        ("std::bad_alloc", True),
        ("MemoryError: Unable to allocate 8 GiB", True),
        ("Failed to alloc memory for tensor", True),
        ("the file has no memory of its classes", False),
    ],
)
def test_a_lack_of_memory_is_known_by_what_libraries_say(message, told):
    assert tells_of_no_memory(message) is told
