"""What a network's builder can be told: read from a flag, checked against the builder."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from torchseg.spec import nearest

_SET_BY_BUILDER = {"self", "in_channels", "num_classes", "attention"}


def parse_arguments(text: str) -> dict[str, Any]:
    """Reads `base_width=32,depth=4,batch_norm=false` or `decoder_channels=[64,32,16]`; an empty text gives nothing.

    Raises:
        ValueError: if the text has another form.
    """
    import yaml

    try:
        values = yaml.safe_load("{" + text.replace("=", ": ") + "}")
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict) or None in values.values() or not all(isinstance(name, str) for name in values):
        raise ValueError(f"model arguments are '{text}'; give NAME=VALUE pairs, e.g. base_width=32,batch_norm=false")
    return values


def known_arguments(builder: Callable[..., Any]) -> dict[str, Any]:
    """Name and type of everything that a builder takes beside channels and classes.

    A builder `f(in_channels, num_classes, **arguments) -> Network` hands its arguments to the class it returns.
    """
    network = get_type_hints(builder)["return"]
    hints = get_type_hints(network.__init__)
    return {name: hints[name] for name in inspect.signature(network).parameters if name not in _SET_BY_BUILDER}


def default_arguments(builder: Callable[..., Any]) -> dict[str, Any]:
    """What a builder takes where nothing is said: its own defaults, and those of the class it returns for the rest."""
    network = get_type_hints(builder)["return"]
    own, left = (inspect.signature(each).parameters for each in (builder, network))
    return {name: own.get(name, left[name]).default for name in known_arguments(builder)}


def check_arguments(model: str, arguments: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuses arguments that the builder does not take, or of another type.

    Args:
        model: name, for the message.
        arguments: to check.
        known: name and type of each that the builder takes.

    Raises:
        ValueError: naming the argument, and those that there are.
    """
    for name, value in arguments.items():
        if name not in known:
            listed = ", ".join(sorted(known))
            raise ValueError(f"model '{model}' takes no {name}{nearest(name, known)}; it takes {listed}")
        if not _fits(value, known[name]):
            raise ValueError(f"{name} of model '{model}' is {value!r}; give {_described(known[name])}")


def _fits(value: Any, kind: Any) -> bool:
    """Types that are not plain are left to the network itself."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, kind) if kind in (int, bool, str) else True


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}[kind]
