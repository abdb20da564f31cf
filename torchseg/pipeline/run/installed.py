"""Checks for optional packages before a job starts, so that no training ends with a file that cannot be written."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass

from torchseg.harness.runtimes.table import RUNTIMES


@dataclass(frozen=True)
class Need:
    """Modules that a piece of work imports, the extra that installs them, and the flag that avoids them."""

    work: str
    modules: tuple[str, ...]
    extra: str
    instead: str


TFLITE = Need("writing .tflite files", ("tensorflow", "ai_edge_litert"), "tf", "--formats onnx")
KERAS = Need("writing .keras files", ("tensorflow",), "tf", "--formats onnx")
OPTIMAL = Need("optimal clustering", ("kmeans1d",), "compress", "--cluster_start density")
CHANNEL_PRUNING = Need("removing channels", ("torch_pruning",), "compress", "--channel_sparsity 0")


def runtime_need(name: str) -> Need:
    """What a runtime needs."""
    entry = RUNTIMES[name]
    return Need(f"running in {entry.title}", (entry.library,), entry.extra, "other --runtimes")


def check_installed(*needs: Need) -> None:
    """Raises ImportError naming the missing packages, their extra, and the flag that avoids them."""
    for need in needs:
        if missing := [name for name in need.modules if importlib.util.find_spec(name) is None]:
            packages = " and ".join(name.replace("_", "-") for name in missing)
            raise ImportError(
                f"{need.work} needs {packages}: pip install 'torchseg-compress[{need.extra}]', or give {need.instead}"
            )


def check_formats(kinds: Iterable[str]) -> None:
    """Raises ImportError if files of one of these formats cannot be written on this machine."""
    wanted = set(kinds)
    check_installed(*(need for kind, need in (("tflite", TFLITE), ("keras", KERAS)) if kind in wanted))


def check_runtimes(names: Iterable[str]) -> None:
    """Raises ImportError if one of these runtimes is not installed; those without an extra come with the core."""
    check_installed(*(runtime_need(name) for name in names if RUNTIMES[name].extra))
