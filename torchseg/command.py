"""Turns a config class and a job into a command: flags, YAML, exit codes."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

Config = TypeVar("Config")

DONE, CHECK_FAILED, WRONG_INPUT, STOPPED = 0, 1, 2, 130


def run_command(config_class: type[Config], job: Callable[[Config], int], argv: Sequence[str] | None = None) -> int:
    """Parses `argv` (or the process's arguments), runs the job and gives the exit code.

    Wrong input, a missing file or a missing extra becomes one message on stderr and exit code 2; the traceback goes to
    the log, at level DEBUG. Any other exception is a mistake of this package and keeps its traceback.
    """
    # Threads that spin for long while they wait starve each other on a busy machine (docs/training.md). OpenMP reads
    # this when PyTorch is imported, so it is set here and not beside the training.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        return job(_parse(config_class, argv))
    except (ValueError, OSError, ImportError) as error:
        logging.getLogger(__name__).debug("the input was refused", exc_info=True)
        print(f"error: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return STOPPED


def _parse(config_class: type[Config], argv: Sequence[str] | None) -> Config:
    """One flag per field: a boolean is a switch, a field marked `positional` is an argument."""
    from jsonargparse import ActionConfigFile, ArgumentParser  # type: ignore[attr-defined]

    parser = ArgumentParser(description=(config_class.__doc__ or "").split("\n")[0])
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file with any of the flags below.")
    types, help_texts = get_type_hints(config_class), _help_texts(config_class)
    fields = dataclasses.fields(config_class)  # type: ignore[arg-type]
    for field in fields:
        options: dict[str, Any] = {"help": help_texts.get(field.name)}
        if "positional" in field.metadata:
            item = Path  # all positional arguments are files and folders
            many = {"nargs": field.metadata["positional"]} if field.metadata["positional"] else {}
            parser.add_argument(field.name, type=item, **many, **options)
        elif "nargs" in field.metadata:
            parser.add_argument(f"--{field.name}", type=Path, nargs=field.metadata["nargs"], default=[], **options)
        elif types[field.name] is bool:
            parser.add_argument(f"--{field.name}", action="store_true", **options)
        else:
            parser.add_argument(f"--{field.name}", type=types[field.name], default=field.default, **options)
    values = parser.parse_args(_joined(sys.argv[1:] if argv is None else argv))
    return config_class(**{field.name: values[field.name] for field in fields})


def _joined(argv: Sequence[str]) -> list[str]:
    """`--mean -1,0,0` as `--mean=-1,0,0`: no flag starts with a digit, but argparse takes such a value for one."""
    joined: list[str] = []
    for item in argv:
        if joined and re.fullmatch(r"--\w+", joined[-1]) and re.match(r"-[\d.]", item):
            joined[-1] += f"={item}"
        else:
            joined.append(item)
    return joined


def _help_texts(config_class: type[Any]) -> dict[str, str]:
    """What the `Attributes:` sections of a config and its parents say about each field."""
    from docstring_parser import parse

    texts: dict[str, str] = {}
    for parent in reversed(config_class.__mro__):
        for entry in parse(parent.__doc__ or "").params:
            texts[entry.arg_name] = " ".join((entry.description or "").split())
    return texts
