"""Tables of benchmarks say what made them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def module():
    spec = importlib.util.spec_from_file_location("show_table", ROOT / "benchmarks/show_table.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_a_written_table_names_its_script_the_commit_and_the_date(module, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", [str(ROOT / "benchmarks/scoring_time.py"), "--table", "x.md"])
    module.show_table("| a |\n|---|", tmp_path / "x.md")
    *table, made = (tmp_path / "x.md").read_text().splitlines()
    assert table == ["| a |", "|---|", ""]
    assert re.fullmatch(
        r"Made by `python benchmarks/scoring_time\.py` (at commit [0-9a-f]{7,}(-dirty)?|without a repository) "
        r"on 20\d\d-\d\d-\d\d\.",
        made,
    )
    assert capsys.readouterr().out == "\n| a |\n|---|\n"


def test_without_a_repository_the_table_is_written_all_the_same(module, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 128, stdout=""))
    assert "without a repository on 20" in module.made_by()


@pytest.mark.parametrize("table", sorted((ROOT / "results").glob("*.md")), ids=lambda path: path.stem)
def test_every_table_of_results_has_a_page_that_links_to_it_and_a_benchmark_that_makes_it(table):
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert any(f"results/{table.name})" in page.read_text(encoding="utf-8") for page in pages)
    assert (ROOT / "benchmarks" / table.stem).is_dir() or (ROOT / f"benchmarks/{table.stem}.py").is_file()


MADE = re.compile(
    r"Made by `(make \w+|python benchmarks/(?P<script>\w+)\.py[^`]*)`(,| at| without a repository)"
    r"( committed as| commit)?( (?P<commit>[0-9a-f]{7,})(-dirty)?)? on 20\d\d-\d\d-\d\d\."
)


@pytest.mark.parametrize("table", sorted((ROOT / "results").glob("*.md")), ids=lambda path: path.stem)
def test_every_table_of_results_says_which_command_made_it_at_which_commit_and_when(table):
    text = table.read_text(encoding="utf-8")
    found = list(MADE.finditer(text))
    parts = text.count("<!-- table: ") or 1
    assert len(found) == parts
    for each in found:
        assert each["commit"], each[0]
        assert not each["script"] or (ROOT / f"benchmarks/{each['script']}.py").is_file()


def test_a_command_that_is_no_script_is_named_as_it_is_given(module):
    assert module.made_by("make machines").startswith("Made by `make machines` ")
    assert MADE.fullmatch(module.made_by("make machines"))
