"""Reads YAML that a stranger may have written: no aliases, and bounds on size and depth."""

from __future__ import annotations

from typing import Any

import yaml

LIMIT_CHARACTERS = 2**18
LIMIT_DEPTH = 32
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UnsafeYamlError(yaml.YAMLError):
    """The text is YAML, but reading it could take all memory or crash the parser."""


def check_yaml(text: str) -> None:
    """Walks through the text without building anything.

    An alias repeats what an anchor names, so that a few hundred bytes can stand for gigabytes, and the parser crashes
    on text that is nested too deeply.

    Raises:
        yaml.YAMLError: if the text is not YAML, has an alias, is too long or nested too deeply.
    """
    if len(text) > LIMIT_CHARACTERS:
        raise UnsafeYamlError(f"it has {len(text)} characters; expected at most {LIMIT_CHARACTERS}")
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise UnsafeYamlError(f"it has the alias *{event.anchor}; write it out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > LIMIT_DEPTH:
            raise UnsafeYamlError(f"it is nested deeper than {LIMIT_DEPTH} levels")


def plain_yaml(text: str) -> Any:
    """The value of a YAML text; raises yaml.YAMLError as `check_yaml` does, and for dates and numbers that are none."""
    check_yaml(text)
    try:
        return yaml.load(text, Loader=_LOADER)
    except (ValueError, OverflowError, TypeError) as error:  # of a date such as 2020-13-01, or 5000 digits
        raise yaml.YAMLError(str(error)) from error
