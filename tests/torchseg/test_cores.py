from __future__ import annotations

import os

import pytest

from torchseg.cores import available_cores

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.fixture
def group(tmp_path):
    """Makes a control group with these files, and gives what `available_cores` says inside it."""

    def ask(files: dict[str, str], membership: str = "0::/job\n") -> int:
        for name, text in files.items():
            (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "groups" / name).write_text(text)
        (tmp_path / "membership").write_text(membership)
        return available_cores(groups=tmp_path / "groups", membership=tmp_path / "membership")

    return ask


@pytest.mark.parametrize("text", ["max 100000\n", "nonsense\n", f"{(CORES + 5) * 100000} 100000\n"])
def test_without_a_quota_below_it_the_affinity_counts(group, text):
    assert group({"job/cpu.max": text}) == CORES


@pytest.mark.parametrize("text", ["100000 100000\n", "50000 100000\n"])
def test_a_quota_takes_cores_away_and_always_leaves_one(group, text):
    assert group({"job/cpu.max": text}) == 1


def test_the_group_above_limits_as_well(group):
    assert group({"cpu.max": "100000 100000\n", "job/cpu.max": "max 100000\n"}) == 1


def test_the_older_kind_of_groups_is_read_too(group):
    files = {"cpu,cpuacct/job/cpu.cfs_quota_us": "80000\n", "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n"}
    assert group(files, "3:memory:/job\n2:cpu,cpuacct:/job\n") == 1


def test_a_system_without_control_groups_has_its_affinity(tmp_path):
    assert available_cores(groups=tmp_path, membership=tmp_path / "none") == CORES


def test_a_system_without_affinity_has_all_its_cores(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert available_cores(groups=tmp_path, membership=tmp_path / "none") == 7


def test_a_system_that_does_not_know_its_cores_has_one(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores(groups=tmp_path, membership=tmp_path / "none") == 1
