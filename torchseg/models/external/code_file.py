"""Networks in a Python file of the user's own, under the name `code:FILE:FUNCTION`.

The source travels in the checkpoint's card, and it runs only if the user has named its SHA-256:
`torchseg.trusted_code`.
"""

from __future__ import annotations

import inspect
import linecache
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from torch import nn

from torchseg.spec import nearest
from torchseg.trusted_code import check_trusted, sha256_of_bytes

PREFIX = "code:"
Code = Mapping[str, str]
"""`file` (its name), `sha256` and `source`, as in `Card.code`."""
# Names that projects use for the two numbers, the clearest first.
_IN = (
    *("in_channels", "n_channels", "in_ch", "in_chans", "input_channels", "img_ch", "in_c", "n_in", "in_dim"),
    *(
        "channels",
        "in_chns",
        "in_chan",
        "inchannels",
        "input_channel",
        "num_channels",
        "img_channels",
        "image_channels",
    ),
    *("input_nc", "ch_in", "nin", "inp", "in_bands", "bands"),
)
_OUT = (
    *("num_classes", "n_classes", "classes", "out_channels", "out_ch", "num_class", "n_class", "nclass", "output_ch"),
    *("output_channels", "out_chans", "out_c", "n_out", "out_dim", "num_labels", "class_num", "nb_classes", "nclasses"),
    *("num_cls", "n_cls", "seg_classes", "n_labels", "num_outputs", "num_output", "output_nc", "ch_out", "out_chan"),
    *("outchannels", "output_channel", "nout", "oup"),
)


def read_code(file: Path) -> Code:
    """The file as a card records it.

    Raises:
        ValueError: if there is no such file, or it is not Python source in UTF-8.
    """
    if not file.is_file():
        raise ValueError(f"there is no file {file}; give the Python file that builds the network")
    content = file.read_bytes()
    try:
        return {"file": file.name, "sha256": sha256_of_bytes(content), "source": content.decode("utf-8")}
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} is not a Python file in UTF-8 ({error}); give the one that builds the network"
        ) from error


def code_name(name: str) -> tuple[str, str]:
    """File and function of `code:FILE:FUNCTION`; raises ValueError for another form."""
    file, _, function = name.removeprefix(PREFIX).rpartition(":")
    if not (file and function.isidentifier()):
        raise ValueError(f"model is '{name}'; write code:FILE:FUNCTION, e.g. code:my_net.py:build")
    return file, function


def code_builder(name: str, code: Code | None = None) -> tuple[Callable[..., nn.Module], Mapping[str, Any]]:
    """Builder and known arguments for a name such as `code:my_net.py:build`.

    Args:
        name: `code:FILE:FUNCTION`, where the function may be a class.
        code: the source; None reads the file.

    Raises:
        ValueError: if the code is not trusted, has changed, cannot run, or has no such function.
    """
    file, function = code_name(name)
    build = _function(load_code(code or read_code(Path(file))), function, name)
    parameters = inspect.signature(build).parameters
    sets_channels, sets_classes = (_first(each, parameters) for each in (_IN, _OUT))
    free = any(each.kind is each.VAR_KEYWORD for each in parameters.values())

    def call(in_channels: int, num_classes: int, **arguments: Any) -> nn.Module:
        given: dict[str, Any] = {sets_channels: in_channels} if sets_channels else {}
        given |= {sets_classes: num_classes} if sets_classes else {}
        try:
            network = build(**{**given, **arguments})
        except Exception as error:  # whatever code of other people raises
            raise ValueError(f"{name} cannot be built with {given | arguments}: {error}") from error
        if not isinstance(network, nn.Module):
            raise ValueError(f"{name} returns {type(network).__name__}; it must return a torch.nn.Module")
        return network

    names = {each: Any for each, kind in parameters.items() if kind.kind not in (kind.VAR_KEYWORD, kind.VAR_POSITIONAL)}
    return call, _Anything(names) if free else names


class _Anything(dict[str, Any]):
    """Arguments of a function with `**arguments`: it takes every name."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __missing__(self, name: str) -> Any:
        return Any


def load_code(code: Code) -> ModuleType:
    """Runs the source as a module of its own; the same source runs once per process.

    Raises:
        ValueError: if the source is not the one that its hash names, is not trusted, or fails.
    """
    sha256 = sha256_of_bytes(code["source"].encode("utf-8"))
    if sha256 != code["sha256"]:
        raise ValueError(
            f"the code of {code['file']} in the card has the SHA-256 {sha256}, recorded is {code['sha256']}: it has "
            "changed since the network was adopted; nothing of it has run. Adopt the network again"
        )
    check_trusted(sha256, what=f"{code['file']}, which builds this network and stands in its card,")
    name = f"torchseg_code_{sha256[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = f"<{code['file']} {sha256[:8]}>"
    lines = code["source"].splitlines(keepends=True)
    linecache.cache[module.__file__] = (len(code["source"]), None, lines, module.__file__)  # for tracebacks and inspect
    sys.modules[name] = module
    try:
        exec(compile(code["source"], module.__file__, "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(
            f"{code['file']} cannot run ({type(error).__name__}: {error}); it must be one file that imports only "
            "installed packages"
        ) from error
    return module


def _function(module: ModuleType, function: str, name: str) -> Callable[..., Any]:
    found = getattr(module, function, None)
    if not callable(found):
        known = [
            each for each, value in vars(module).items() if callable(value) and value.__module__ == module.__name__
        ]
        raise ValueError(
            f"model '{name}': the file has no function or class '{function}'{nearest(function, known)}; it has "
            f"{', '.join(known) or 'none'}"
        )
    return cast(Callable[..., Any], found)


def _first(names: tuple[str, ...], known: Mapping[str, Any]) -> str:
    return next((name for name in names if name in known), "")
