"""The table of emulated machines; add an entry to add a machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from machines.installations import Installation, checkout, installed_wheel
from machines.jobs import Step, chain, odd_names, plain_names, without_extras

GIBIBYTE = 1024**3


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One emulated machine.

    Attributes:
        name: value for `--only`.
        what: description of what is emulated, for the table.
        variables: environment variables of the processes.
        prefix: command that each command is passed to as arguments, and that runs it.
        probe: Python statements that fail unless the emulation works; run before the job, with the same prefix.
        needs: programs that the emulation requires.
        install: returns the installation for a wheel of this project.
        job: returns the steps to run, for these flags.
        folder: name of the folder in which the job runs.
        flags: additional flags of the main job.
        most_bytes: memory limit for all processes of a step together; None for no limit.
    """

    name: str
    what: str
    variables: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    probe: str = ""
    needs: Sequence[str] = ()
    install: Callable[[Path], Installation] = lambda wheel: checkout()
    job: Callable[[Sequence[str]], list[Step]] = chain
    folder: str = "run"
    flags: Sequence[str] = ()
    most_bytes: int | None = None

    @property
    def missing(self) -> list[str]:
        """Required programs that this machine lacks."""
        return [program for program in self.needs if shutil.which(program) is None]


def _python(version: str) -> Environment:
    return Environment(
        name=f"python-{version}",
        what=f"Python {version}, wheel built by `python -m build`, `torchseg NAME` from another folder",
        install=lambda wheel: installed_wheel(version, wheel),
        probe=f"import sys, importlib.util as u; assert sys.version_info[:2] == {tuple(map(int, version.split('.')))}; "
        "assert u.find_spec('benchmarks') is None and u.find_spec('scripts') is None",
    )


_CORE = min(os.sched_getaffinity(0))
_CAPABILITY = "import torch; assert torch.backends.cpu.get_cpu_capability() == '{}'"
# Root may write everywhere regardless of permissions; only a read-only mount prevents that. The job's own folder is
# mounted writable again, because it may be inside one of the others.
_READ_ONLY = """
for folder in "$HOME" /tmp /var/tmp; do mount --bind "$folder" "$folder" && mount -o remount,bind,ro "$folder"; done
mount --bind "$PWD" "$PWD" && mount -o remount,bind,rw "$PWD" && cd "$PWD" && exec "$@"
"""
_DENIED = """
import pathlib
for folder in (pathlib.Path.home(), "/tmp", "/var/tmp"):
    try:
        pathlib.Path(folder, "written").write_text("")
    except OSError:
        continue
    raise SystemExit(f"{folder} can be written")
"""

ENVIRONMENTS = (
    Environment(
        name="oldest-kernels",
        what="processor without AVX: `ATEN_CPU_CAPABILITY=default`, `ONEDNN_MAX_CPU_ISA=SSE41`",
        variables={"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
        probe=_CAPABILITY.format("DEFAULT"),
    ),
    Environment(
        name="avx2",
        what="processor without AVX512: `ATEN_CPU_CAPABILITY=avx2`, `ONEDNN_MAX_CPU_ISA=AVX2`",
        variables={"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
        probe=_CAPABILITY.format("AVX2"),
    ),
    Environment(
        name="one-core",
        what="one core: `taskset`",
        prefix=("taskset", "-c", str(_CORE)),
        needs=("taskset",),
        probe="import os; assert len(os.sched_getaffinity(0)) == 1",
    ),
    Environment(
        name="one-thread",
        what="one thread: `OMP_NUM_THREADS=1`",
        variables={"OMP_NUM_THREADS": "1"},
        probe="import torch; assert torch.get_num_threads() == 1",
    ),
    Environment(
        name="little-memory",
        what="3 GiB of memory: `ulimit -d` for each process, and the sum over all of them watched",
        prefix=("sh", "-c", f'ulimit -d {3 * GIBIBYTE // 1024} && exec "$@"', "sh"),
        needs=("sh",),
        probe=f"import resource; assert resource.getrlimit(resource.RLIMIT_DATA)[0] == {3 * GIBIBYTE}",
        most_bytes=3 * GIBIBYTE,
    ),
    Environment(
        name="no-extras",
        what="wheel with the core's packages alone",
        install=lambda wheel: installed_wheel("3.11", wheel, extras=()),
        job=without_extras,
        probe="import importlib.util as u; assert not any(u.find_spec(name) for name in "
        "('tensorflow', 'ai_edge_litert', 'tf2onnx', 'nni', 'kmeans1d', 'torch_pruning', 'openvino', 'optuna'))",
    ),
    _python("3.11"),
    _python("3.12"),
    _python("3.13"),
    Environment(
        name="read-only",
        what="home and temporary folders that cannot be written: read-only mounts",
        prefix=(
            "unshare",
            "--mount",
            *([] if os.geteuid() == 0 else ["--map-root-user"]),
            "sh",
            "-c",
            _READ_ONLY,
            "sh",
        ),
        needs=("unshare", "mount", "sh"),
        probe=_DENIED,
    ),
    Environment(
        name="locale-c",
        what="locale `C` without UTF-8 mode, classes with letters beyond ASCII",
        variables={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        probe="import locale, sys; assert locale.getencoding() == 'ANSI_X3.4-1968' and not sys.flags.utf8_mode",
        job=plain_names,
    ),
    Environment(
        name="odd-names",
        what="folders, images and classes with spaces and letters beyond ASCII",
        variables={"LC_ALL": "C.UTF-8"},
        probe="import sys; assert sys.getfilesystemencoding() == 'utf-8'",
        job=odd_names,
        folder="Straße 7 – ё",
    ),
    Environment(
        name="fp32", what="training in float32: `--training_precision fp32`", flags=("--training_precision", "fp32")
    ),
    Environment(
        name="bf16", what="training in bfloat16: `--training_precision bf16`", flags=("--training_precision", "bf16")
    ),
)
