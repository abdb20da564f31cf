"""Makes packages callable: `torchseg.train`, `torchseg.compress` and `torchseg.adopt` are functions of the API as well.

Once such a package is imported, the import system sets it as an attribute of `torchseg`, where a user expects the
function. Calling the package therefore calls the function, whichever of them a program uses first, and
`import torchseg.train.loop` still finds the package.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_API = "torchseg.api"
_CALLABLE = ("train", "compress", "adopt")


def install(name: str) -> None:
    """Makes those packages callable when they become attributes of the package `name`; imports nothing itself."""
    sys.modules[name].__class__ = _FrontDoor


def find(name: str) -> Any:
    """The attribute `name` of `torchseg`; imports the API, and PyTorch with it."""
    function = getattr(importlib.import_module(_API), name)
    return sys.modules[f"torchseg.{name}"] if name in _CALLABLE else function


class _FrontDoor(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CALLABLE and isinstance(value, ModuleType):
            value.__class__ = _CallablePackage
        super().__setattr__(name, value)


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        importlib.import_module(_API)
        return _function(self)(*arguments, **options)

    # Notebooks show signature and docstring: those of the function, once the API is imported.

    @property
    def __signature__(self) -> Any:
        import inspect

        return inspect.signature(_function(self)) if _API in sys.modules else None

    @property
    def __doc__(self) -> Any:  # type: ignore[override]
        return _function(self).__doc__ if _API in sys.modules else self.__dict__.get("__doc__")


def _function(package: ModuleType) -> Any:
    """The API function of the same name; the API must be imported."""
    return getattr(sys.modules[_API], package.__name__.rpartition(".")[2])
