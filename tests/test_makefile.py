from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("system", "python", "scripts"), [("Linux", "python3", "bin"), ("Windows_NT", "python", "Scripts")]
)
def test_the_environment_is_where_the_system_puts_it(system, python, scripts, tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "--dry-run", "distill", f"OS={system}"]
    # `make test` hands its own flags and depth down: with them, make would speak as a part of that run.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    lines = done.stdout.splitlines()
    assert lines[0] == f"{python} -m venv .venv"
    assert lines[-1] == f".venv/{scripts}/python scripts/distill.py --baseline"
