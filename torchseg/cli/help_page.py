"""The help page of a command: flags in groups, defaults as a person reads them, and an example."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from jsonargparse import DefaultHelpFormatter

PACKAGE = "torchseg-compress"
_KINDS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
_PRINT_CONFIG_HELP = (
    "Print all flags with their values as YAML, which --config reads, and exit; =skip_default leaves out the defaults."
)


def version_text() -> str:
    """Name and version of this package."""
    try:
        return f"torchseg {metadata.version(PACKAGE)}"
    except metadata.PackageNotFoundError:
        return "torchseg, not installed"


def group_titles(config_class: type[Any]) -> dict[str, str]:
    """Title of each flag's group, from the class that declares it; the command's own flags come first."""
    owners = {
        name: parent
        for parent in reversed(config_class.__mro__)
        if dataclasses.is_dataclass(parent)
        for name in inspect.get_annotations(parent)
    }
    own = "Flags of this command"
    order = {parent: at for at, parent in enumerate(config_class.__mro__)}
    names = [field.name for field in dataclasses.fields(config_class)]
    ordered = sorted(names, key=lambda name: order[owners[name]])
    return {name: own if owners[name] is config_class else _title(owners[name]) for name in ordered}


def with_default(text: str, default: object) -> str:
    """The help text followed by the default, unless it is nothing or the text explains it."""
    says_nothing = default is None or default is False or default == "" or default is dataclasses.MISSING
    return text if not text or "Default:" in text or says_nothing else f"{text} Default: {default}."


def placeholder(kind: Any) -> str:
    """What stands for the value of a flag of this type: `N`, `PATH`, `auto|fp32|bf16`, `N|auto`."""
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    parts = [part for part in get_args(kind) if part is not type(None)] or [kind]
    return "|".join(_KINDS.get(part) or placeholder(part) for part in parts) if parts != [kind] else _KINDS[kind]


def example_text(config_class: type[Any], called: str | None) -> str:
    """The `Example:` of the class, as a command in the style of the present call; empty if it has none."""
    command = called or f"python {sys.argv[0]}"
    flags = examples_of(config_class)
    return "\n".join(["Example:", *(f"  {command} {line}" for line in flags)]) if flags else ""


def examples_of(config_class: type[Any]) -> list[str]:
    """The arguments that the `Example:` of the class gives; only the class of a command has one."""
    return _examples_in(config_class.__doc__ or "")


@cache  # asked for every flag of a class, and parsing a docstring takes longer than adding a flag
def _examples_in(docstring: str) -> list[str]:
    from docstring_parser.google import parse

    return [" ".join((each.description or "").split()) for each in parse(docstring).examples]


def usage_text(positional: Mapping[str, str]) -> str:
    """`PROGRAM CHECKPOINT [FLAGS]`; `positional` gives how often each argument may occur: once, `+` or `*`."""
    forms = {"": "{0}", "+": "{0} [{0} ...]", "*": "[{0} ...]"}
    return " ".join(["%(prog)s", *(forms[many].format(name.upper()) for name, many in positional.items()), "[FLAGS]"])


@cache
def formatter() -> type[DefaultHelpFormatter]:
    """Makes the formatter: no types, no second mention of defaults, the example on lines of its own."""
    from jsonargparse import DefaultHelpFormatter

    class Formatter(DefaultHelpFormatter):
        def _get_help_string(self, action: Any) -> str:
            return _PRINT_CONFIG_HELP if "--print_config" in action.option_strings else action.help or ""

        def _fill_text(self, text: str, width: int, indent: str) -> str:
            return text if text.startswith("Example:") else super()._fill_text(text, width, indent)

    return Formatter


def _title(config_class: type[Any]) -> str:
    """The summary of a class of flags; the name of a command whose flags another one has, too."""
    if examples_of(config_class):
        return f"Flags of the command {config_class.__name__.removesuffix('Config').lower()}"
    return (config_class.__doc__ or "").split("\n")[0].removesuffix(".")
