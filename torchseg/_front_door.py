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

CALLABLE = ("train", "compress")


def install(name: str) -> None:
    """Watches which packages become attributes of the package `name`; imports nothing itself."""
    sys.modules[name].__class__ = _FrontDoor


def api() -> ModuleType:
    """The API, imported when it is needed: it takes PyTorch along."""
    return importlib.import_module("torchseg.api")


class _FrontDoor(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if name in CALLABLE and isinstance(value, ModuleType):
            value.__class__ = _CallablePackage
        super().__setattr__(name, value)


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        function = getattr(api(), self.__name__.rpartition(".")[2])
        return function(*arguments, **options)
