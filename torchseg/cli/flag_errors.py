"""Says what is wrong with a flag: which one, what came and what it takes. The parser would say it in its own terms."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from torchseg.cli.help_page import example_text
from torchseg.record.text import shortened
from torchseg.spec import nearest

_NULL = "null"  # as YAML writes it
_KINDS = {int: "a whole number", float: "a number", str: "a text", Path: "a path", NoneType: _NULL}
_KEY = re.compile(r'Parser key "(\w+)":\s*(.*)', re.DOTALL)
_VALUES = (re.compile(r"Given value: ?(.*)", re.DOTALL), re.compile(r"Got value: ?(.*)", re.DOTALL))
_ARGUMENT = re.compile(r"argument (?:\S+/)?--(\w+): (.*)", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(\d[\d.e+-]*|inf|nan)")


def flag_message(config_class: type[Any], said: str, *, called: str | None = None) -> str:
    """Turns what the parser says of wrong arguments, or of a wrong value in a file of flags, into one sentence.

    Args:
        config_class: whose fields are the flags.
        said: message of the parser.
        called: how the command is called, for the example; by default, as a script.
    """
    said = said.strip()
    if found := _KEY.fullmatch(said):
        return _wrong_value(config_class, *found.groups())
    if found := _ARGUMENT.fullmatch(said):
        return _wrong_argument(config_class, *found.groups())
    if found := re.fullmatch(r"Option '(.*)' is not accepted", said):
        name, known = found[1], [field.name for field in dataclasses.fields(config_class)]
        return f"there is no flag {name}{nearest(name, known)}; --help lists all"
    if found := re.fullmatch(r"unrecognized arguments: (.*)", said, re.DOTALL):
        return f"{shortened(found[1])} belongs to no flag; --help lists what the command takes"
    if found := re.fullmatch(r"the following arguments are required: (.*)", said):
        names = found[1].upper().split(", ")
        missing = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing"
        example = " ".join(example_text(config_class, called).split("\n")[1:2]).strip()
        return f"{missing}; an example: {example}" if example else f"{missing}; --help shows the usage"
    return " ".join(said.split())


def expected(kind: Any) -> str:
    """What a flag of this type takes: `a whole number or auto`; that a path may be `null` goes without saying."""
    words = [_KINDS[each] if each in _KINDS else str(each) for each in _alternatives(kind)]
    words = [word for word in words if word != _NULL or _KINDS[Path] not in words]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _wrong_value(config_class: type[Any], name: str, said: str) -> str:
    found = next(filter(None, (each.search(said) for each in _VALUES)), None)
    if found is None:  # said by a type of this package
        return f"{name} {said.removeprefix('it ')}"
    kind, value = _type_of(config_class, name), found[1].strip()
    names = [str(each) for each in _alternatives(kind) if each not in _KINDS]
    came = f"{name} is {_shown(value)}{nearest(value, names)}"
    return f"{came}; choose from {', '.join(names)}" if _is_choice(kind) else f"{came}; give {expected(kind)}"


def _wrong_argument(config_class: type[Any], name: str, said: str) -> str:
    if found := re.fullmatch(r"ignored explicit argument '(.*)'", said, re.DOTALL):
        return f"--{name} takes no value, and {_shown(found[1])} came; give --{name} alone, or leave it out"
    if said.startswith("expected"):
        kind = _type_of(config_class, name)
        return f"--{name} came without a value; " + ("--help says which" if kind is None else f"give {expected(kind)}")
    return f"--{name}: {' '.join(said.split())}"


def _type_of(config_class: type[Any], name: str) -> Any:
    """Type of a flag, or of one item of a flag that takes several; None for one that every command has."""
    for field in dataclasses.fields(config_class):
        if name in (field.name, field.metadata.get("was")):
            is_list = "nargs" in field.metadata or "positional" in field.metadata
            return field.metadata.get("type", Path) if is_list else get_type_hints(config_class)[field.name]
    return None


def _alternatives(kind: Any) -> Iterator[Any]:
    """The types, and the values of `Literal`, that a type is made of."""
    parts = get_args(kind)
    if not parts or get_origin(kind) is Literal:
        yield from parts or (kind,)
        return
    for part in parts:
        yield from _alternatives(part)


def _is_choice(kind: Any) -> bool:
    """Whether one of a few names is all that a flag takes, or nothing."""
    return not any(each in _KINDS for each in _alternatives(kind) if each is not NoneType)


def _shown(value: str) -> str:
    if not value:
        return "empty"
    return value if _NUMBER.fullmatch(value) else shortened(value)
