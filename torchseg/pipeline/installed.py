"""Extras that a job will need, looked for before it starts: no training may end at a file that cannot be written."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """Modules that some work imports, the extra that brings them, and how to do without."""

    work: str
    modules: tuple[str, ...]
    extra: str
    instead: str


TFLITE = Need("writing .tflite files", ("tensorflow", "ai_edge_litert"), "tf", "--formats onnx")
OPTIMAL = Need("optimal clustering", ("kmeans1d",), "compress", "--cluster_start density")
SHRINKING = Need("removing channels", ("torch_pruning",), "compress", "--channel_sparsity 0")
RUNTIMES = {
    "litert": Need("running in LiteRT", ("ai_edge_litert",), "tf", "other --runtimes"),
    "openvino": Need("running in OpenVINO", ("openvino",), "openvino", "other --runtimes"),
}


def check_installed(*needs: Need) -> None:
    """Raises ImportError naming what is missing, its extra and the flag that does without."""
    for need in needs:
        if missing := [name for name in need.modules if importlib.util.find_spec(name) is None]:
            packages = " and ".join(name.replace("_", "-") for name in missing)
            raise ImportError(
                f"{need.work} needs {packages}: pip install 'torchseg-compress[{need.extra}]', or give {need.instead}"
            )


def check_formats(kinds: Iterable[str]) -> None:
    """Raises ImportError if files of one of these formats cannot be written here."""
    if "tflite" in kinds:
        check_installed(TFLITE)


def check_runtimes(names: Iterable[str]) -> None:
    """Raises ImportError if files cannot be run in one of these runtimes here; the core brings those not listed."""
    check_installed(*(RUNTIMES[name] for name in names if name in RUNTIMES))
