from __future__ import annotations

import sys
from types import SimpleNamespace

import psutil
import pytest

from torchseg.harness import host
from torchseg.harness.host import peak_memory_mb

MIB = 2**20


def test_a_processor_without_a_model_name_goes_by_its_architecture(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nCPU implementer\t: 0x41\n")  # Linux on ARM
    monkeypatch.setattr(host, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert host.cpu_name() == "aarch64"


@pytest.fixture
def no_proc(tmp_path, monkeypatch):
    """A system without `/proc`."""
    monkeypatch.setattr(host, "_STATUS", tmp_path / "none")


def test_linux_says_it_in_proc(tmp_path, monkeypatch):
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t  3072 kB\n")
    monkeypatch.setattr(host, "_STATUS", tmp_path / "status")
    assert peak_memory_mb() == 3


@pytest.mark.parametrize(("system", "unit"), [("Darwin", 1), ("FreeBSD", 1024)])
def test_the_unit_of_the_resource_module_is_that_of_the_system(no_proc, system, unit, monkeypatch):
    usage = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda _: SimpleNamespace(ru_maxrss=5 * MIB // unit))
    monkeypatch.setitem(sys.modules, "resource", usage)
    monkeypatch.setattr("platform.system", lambda: system)
    assert peak_memory_mb() == 5


def test_windows_has_no_resource_module_and_needs_none(no_proc, monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=1 * MIB, peak_wset=7 * MIB))
    monkeypatch.setattr(psutil, "Process", lambda: process)
    assert peak_memory_mb() == 7
