"""Makes torchvision importable with a CPU build of PyTorch that cannot load torchvision's compiled operators.

A torchvision wheel built for CUDA cannot load its library into a CPU-only PyTorch. Its import, and that of every
package that builds on it, then fails with `operator torchvision::nms does not exist`. Declaring the two missing
operator schemas is enough for what this project uses: data sets, transforms and networks are plain Python. The remedy
applies on exactly that error, so a matching installation is not affected.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_MISSING = "operator torchvision::nms does not exist"
_libraries: list[Any] = []  # schemas vanish when their torch.library.Library is garbage-collected


def install() -> None:
    """Installs an import hook for the first import of torchvision; imports nothing itself."""
    if "torchvision" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "torchvision":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, native: Any) -> None:
        self.native = native

    def __getattr__(self, name: str) -> Any:
        return getattr(self.native, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self.native.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        try:
            self.native.exec_module(module)
        except RuntimeError as error:
            if _MISSING not in str(error):
                raise
            for name in [name for name in sys.modules if name.startswith("torchvision.")]:
                del sys.modules[name]
            _define_schemas()
            self.native.exec_module(module)


def _define_schemas() -> None:
    import torch

    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)
