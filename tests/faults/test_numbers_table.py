"""The table of faults in the documentation is made from what the tests counted."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import mutations

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def fault_numbers(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("fault_numbers", BENCHMARKS / "fault_numbers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("marked_table", None)


def test_what_was_counted_becomes_a_table(fault_numbers, monkeypatch, tmp_path):
    page, numbers = tmp_path / "page.md", tmp_path / "numbers.jsonl"
    page.write_text("before\n<!-- table: faults -->\nold\n<!-- end -->\nafter\n")
    monkeypatch.setattr(mutations, "NUMBERS", str(numbers))
    mutations.report("onnx files", Counter({"exit 2": 3}), seconds=12.4, peak_mb=300.0)
    mutations.report("images", Counter({"refused": 2, "read": 1}))
    mutations.report("onnx files", Counter({"exit 0": 1, "exit 2": 1}), seconds=3.0, peak_mb=512.6)
    assert fault_numbers.main([str(numbers), "--page", str(page)]) == 0
    assert page.read_text().splitlines() == [
        "before",
        "<!-- table: faults -->",
        "| fault | attempts | how they ended | longest, s | most memory of a process, MiB |",
        "|---|---:|---|---:|---:|",
        "| images | 3 | 1 read, 2 refused |  |  |",
        "| onnx files | 5 | 1 exit 0, 4 exit 2 | 12 | 513 |",
        "<!-- end -->",
        "after",
    ]


def test_without_numbers_the_page_stays(fault_numbers, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("as it was")
    assert fault_numbers.main([str(tmp_path / "none"), "--page", str(page)]) == 2
    assert capsys.readouterr().err.endswith("has no numbers; run make faults\n")
    assert page.read_text() == "as it was"


@pytest.mark.parametrize("content", [b"\0", b"abc", bytes(range(256)) * 4])
def test_damage_is_the_same_for_a_seed_and_always_a_change(content):
    for seed in range(200):
        assert mutations.mutated(content, seed) == mutations.mutated(content, seed) != content
        changed = mutations.flipped(content, seed)
        assert sum((a ^ b).bit_count() for a, b in zip(changed, content, strict=True)) == 1


@pytest.mark.parametrize(("seeds", "expected"), [(0, 4), (200, 500), (20, 50), (1, 2)])
def test_how_much_is_tried_follows_the_seeds(seeds, expected, monkeypatch):
    monkeypatch.setattr(mutations, "LONG", seeds)
    assert mutations.number_of(500, short=4) == expected
