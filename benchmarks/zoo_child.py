"""Exports one network of the zoo in a child process, which may run out of time or memory, or die."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo_table import NOT_BUILT

from torchseg.processes.exit_code import cause_of_end


def run_child(program: str, request: Mapping[str, Any], wanted: Sequence[str], *, limit_s: float) -> dict[str, Any]:
    """What a child process says of each file; if it dies or takes too long, this is said of the files that it left out.

    Args:
        program: file in this folder. It reads the request as JSON from stdin, and prints one JSON object per file,
            by the file's name, as soon as it knows; or one with the key `NOT_BUILT`.
        request: any values that JSON takes.
        wanted: names of the files.
        limit_s: seconds that the child may take.
    """
    try:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name(program))],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return _completed(_reported(late.stdout), wanted, f"took more than {limit_s:g} s")
    files = _reported(done.stdout)
    if NOT_BUILT in files:
        return files
    last = (done.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]
    return _completed(files, wanted, f"DIED: {cause_of_end(done.returncode)}: {last[:300]}")


def _reported(output: bytes | None) -> dict[str, Any]:
    """What the child has said by now: one JSON object per line, among lines of others. A later line counts."""
    files: dict[str, Any] = {}
    for line in (output or b"").decode(errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        files |= said if isinstance(said, dict) else {}
    return files


def _completed(files: Mapping[str, Any], wanted: Sequence[str], reason: str) -> dict[str, Any]:
    return {file: files.get(file, reason) for file in wanted}
