"""Lets two packages of this project be called like the functions of the API that bear their names.

`torchseg.train` and `torchseg.compress` are packages as soon as anything imports them, and the import system then puts
them where `torchseg.train(...)` looks for a function. So a call of the package goes on to the function, whichever of
the two a program meets first, and `import torchseg.train.loop` still finds the package.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_API = "torchseg.api"
_CALLABLE = ("train", "compress")


def install(name: str) -> None:
    """Watches which packages become attributes of the package `name`; imports nothing itself."""
    sys.modules[name].__class__ = _FrontDoor


def find(name: str) -> Any:
    """What `torchseg` hands out under this name; imports the API, which takes PyTorch along."""
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

    # A notebook shows both of these to a user who asks what the function takes.

    @property
    def __signature__(self) -> Any:
        import inspect

        return inspect.signature(_function(self)) if _API in sys.modules else None

    @property
    def __doc__(self) -> Any:  # type: ignore[override]
        return _function(self).__doc__ if _API in sys.modules else self.__dict__.get("__doc__")


def _function(package: ModuleType) -> Any:
    """The function of a package's name, once the API is imported."""
    return getattr(sys.modules[_API], package.__name__.rpartition(".")[2])
