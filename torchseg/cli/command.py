"""Turns a config class and a function into a command: flags, YAML configuration, exit codes."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from torchseg.cli.flag_errors import flag_message
from torchseg.cli.flag_file import bounded_values, config_action
from torchseg.cli.flag_names import normalised
from torchseg.cli.help_page import (
    example_text,
    formatter,
    group_titles,
    placeholder,
    usage_text,
    version_text,
    with_default,
)
from torchseg.cli.terminal import PIPE_CLOSED, lacks_memory, message_of, prepare_streams, tell_unread
from torchseg.console import console
from torchseg.processes.interruption import interruptible
from torchseg.progress_bar import heartbeat
from torchseg.record.text import shortened
from torchseg.spec import nearest
from torchseg.trusted_code import FLAG, trusting, without_trust

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

Config = TypeVar("Config")

DONE, CHECK_FAILED, WRONG_INPUT = 0, 1, 2
_LONGEST_ARGUMENT = 2**14
_NO = "no_"
_CONFIG_HELP = "YAML file with any of these flags. A switch that it sets is undone by --no_NAME."
_TRUST_HELP = (
    "Lets the code inside a checkpoint run: its SHA-256, or the file with that code. Only the command line can give it."
)
_PARSERS: dict[type[Any], ArgumentParser] = {}  # a grid parses flags a hundred times, and building a parser takes 0.2 s


def run_command(config_class: type[Config], job: Callable[[Config], int], argv: Sequence[str] | None = None) -> int:
    """Parses `argv` (or the process's arguments), runs the job and returns the exit code.

    Wrong input, a missing file or extra, or a lack of memory becomes one message on stderr and exit code 2; the
    traceback goes to the log, at level DEBUG. A command whose output nobody reads any more stops, with exit code 141.
    Any other exception is a bug of this package and keeps its traceback.
    """
    # OpenMP threads that spin for long while they wait slow each other down on a busy machine
    # (docs/explanation/training.md). OpenMP reads this variable when PyTorch is imported, so it is set here and not in
    # the training code.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    prepare_streams()
    with interruptible() as interruption:
        try:
            return _run(config_class, job, sys.argv[1:] if argv is None else argv)
        except BrokenPipeError:
            tell_unread()
            return PIPE_CLOSED
        except (ValueError, OSError, ImportError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not lacks_memory(error):
                raise
            logging.getLogger(__name__).debug("the input was refused", exc_info=True)
            print(f"error: {message_of(error)}", file=sys.stderr)
            return WRONG_INPUT
        except KeyboardInterrupt:
            interruption.tell()
            return interruption.exit_code


def _run(config_class: type[Config], job: Callable[[Config], int], argv: Sequence[str]) -> int:
    _check_text(argv)
    try:
        with trusting(argv):
            config = _parse(config_class, _parser(config_class), without_trust(argv))
            with console(), heartbeat():
                return job(config)
    finally:
        sys.stdout.flush()  # here, where it can be said that nobody reads, and not while Python ends


def _check_text(argv: Sequence[str]) -> None:
    """Refuses arguments with undecodable bytes, and those that are too long.

    Python turns bytes that the locale cannot decode into lone surrogates, which cannot be written to UTF-8 files and
    which other libraries reject.
    """
    for item in argv:
        if len(item) > _LONGEST_ARGUMENT:
            raise ValueError(
                f"{item[:40]}... has {len(item)} characters; give at most {_LONGEST_ARGUMENT} per argument"
            )
        try:
            item.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{item!a} has bytes that are not {sys.getfilesystemencoding()}, the encoding of this locale; "
                "set PYTHONUTF8=1, or rename what it names"
            ) from error


def config_of(config_class: type[Config], flags: Mapping[str, str]) -> Config:
    """Builds the config that these flags would give on the command line; the value `true` sets a switch.

    Raises:
        ValueError: for an unknown flag, or a value that the flag does not accept.
    """
    types = get_type_hints(config_class)
    argv = [f"--{name}={text}" for name, text in flags.items() if types.get(name) is not bool]
    argv += [f"--{name}" for name, text in flags.items() if types.get(name) is bool and text == "true"]
    if config_class not in _PARSERS:
        _PARSERS[config_class] = _parser(config_class)
    return _parse(config_class, _PARSERS[config_class], argv)


def config_from(config_class: type[Config], values: Mapping[str, object]) -> Config:
    """Builds the config that the command line would build from these Python values, keyed by flag name.

    Raises:
        ValueError: for an unknown flag, or a value of the wrong type.
    """
    from argparse import ArgumentError

    known = [field.name for field in dataclasses.fields(config_class)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise ValueError(f"there is no option '{name}'{nearest(name, known)}; choose from {', '.join(known)}")
    if config_class not in _PARSERS:
        _PARSERS[config_class] = _parser(config_class)
    try:
        parsed = _PARSERS[config_class].parse_object(dict(values))
    except ArgumentError as error:
        raise ValueError(flag_message(config_class, error.message)) from error
    return config_class(**_checked(config_class, {name: parsed[name] for name in known}))


def other_command(name: str) -> str:
    """How to call another command, in the style of the present call: as a script or through `torchseg`."""
    called = Path(sys.argv[0])
    script = called.suffix == ".py" and called.resolve().parent.name == "scripts"
    return f"python {called.with_name(name)}.py" if script else f"torchseg {name}"


def _called_as() -> str | None:
    """Program name for the help text; None lets the parser use the name of the script."""
    called = Path(sys.argv[0])
    installed = called.stem == "torchseg" or called.parts[-2:] == ("torchseg", "__main__.py")
    return f"torchseg {sys.argv[1]}" if installed and sys.argv[1:] else None


def _parse(config_class: type[Config], parser: ArgumentParser, argv: Sequence[str]) -> Config:
    from argparse import ArgumentError

    try:
        with bounded_values():
            values = parser.parse_args(normalised(argv, _known_flags(config_class)))
    except ArgumentError as error:
        raise ValueError(flag_message(config_class, error.message, called=_called_as())) from error
    if values[FLAG] is not None:  # whoever wrote the file, or the recipe, must not decide what runs here
        raise ValueError(f"{FLAG} stands in a file of flags or a recipe; give it on the command line alone")
    fields = dataclasses.fields(config_class)  # type: ignore[arg-type]
    chosen = {field.name: values[field.name] for field in fields}
    for field in fields:
        if (old := field.metadata.get("was")) and values[old] is not None:
            print(
                f"warning: {old} is called {field.name} now; the old name will be removed in the next release",
                file=sys.stderr,
            )
            chosen[field.name] = values[old]
    return config_class(**_checked(config_class, chosen))


def _checked(config_class: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """The values; raises ValueError for a switch that a file of flags sets to neither true nor false."""
    types = get_type_hints(config_class)
    for name, value in values.items():
        if types[name] is bool and not isinstance(value, bool):
            raise ValueError(f"{name} is {shortened(value)}; give true or false")
    return values


def _parser(config_class: type[Any]) -> ArgumentParser:
    """Makes one flag per field: booleans are switches, which `--no_NAME` undoes.

    `positional` fields are arguments, `was` gives an old name.
    """
    from jsonargparse import ArgumentParser

    fields = {field.name: field for field in dataclasses.fields(config_class)}
    positional = {name: each.metadata["positional"] for name, each in fields.items() if "positional" in each.metadata}
    parser = ArgumentParser(
        prog=_called_as(),
        usage=usage_text(positional),
        description=(config_class.__doc__ or "").split("\n")[0],
        epilog=example_text(config_class, _called_as()),
        formatter_class=formatter(),
        version=version_text(),
        exit_on_error=False,
    )
    parser.add_argument("--config", action=config_action(), metavar="FILE", help=_CONFIG_HELP)
    parser.add_argument(f"--{FLAG}", default=None, metavar="SHA256", help=_TRUST_HELP)
    types, texts = get_type_hints(config_class), help_texts(config_class)
    groups: dict[str, Any] = {}
    for name, title in group_titles(config_class).items():
        if name in positional:
            many = {"nargs": positional[name]} if positional[name] else {}
            parser.add_argument(name, type=Path, **many, help=texts.get(name))  # all are files and folders
            continue
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        _add_flag(groups[title], fields[name], types[name], texts.get(name, ""))
    return parser


def _add_flag(group: Any, field: dataclasses.Field[Any], kind: Any, text: str) -> None:
    """Adds a flag, and its old name without help."""
    from argparse import SUPPRESS

    name, old = f"--{field.name}", field.metadata.get("was")
    text = with_default(text, field.default)
    if "nargs" in field.metadata:
        item, nargs = field.metadata.get("type", Path), field.metadata["nargs"]
        group.add_argument(name, type=item, nargs=nargs, default=[], metavar=placeholder(item), help=text)
    elif kind is bool:
        group.add_argument(name, action="store_true", help=text)
        group.add_argument(f"--{_NO}{field.name}", dest=field.name, action="store_false", default=False, help=SUPPRESS)
        if old:
            group.add_argument(f"--{old}", action="store_true", default=None, help=SUPPRESS)
    else:
        item = _Text() if kind is str else kind
        group.add_argument(name, type=item, default=field.default, metavar=placeholder(kind), help=text)
        if old:
            group.add_argument(f"--{old}", type=item, default=None, help=SUPPRESS)


def _known_flags(config_class: type[Any]) -> set[str]:
    """Names of all flags, old ones, those of every command, and `no_NAME` for switches included."""
    fields = dataclasses.fields(config_class)
    olds = {field.metadata["was"] for field in fields if "was" in field.metadata}
    own = {field.name for field in fields if "positional" not in field.metadata}
    switches = {f"{_NO}{name}" for name, kind in get_type_hints(config_class).items() if kind is bool}
    return own | olds | switches | {"config", "print_config", "help", "version", FLAG}


class _Text:
    """Type of a text flag; also accepts what YAML reads as a number, e.g. `image_size: 96`."""

    def __call__(self, value: object) -> str:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise ValueError(f"it is {value!r}; expected a text, so put it in quotes")
        return str(value)

    def __repr__(self) -> str:
        return "str"


def help_texts(config_class: type[Any]) -> dict[str, str]:
    """Help text of each field, from the `Attributes:` sections of a config class and its parents.

    In the text of a field with `known` values, `{known}` stands for their names.
    """
    from docstring_parser.google import parse  # the package's own `parse` tries four styles in turn

    texts: dict[str, str] = {}
    for parent in reversed(config_class.__mro__):
        for entry in parse(parent.__doc__ or "").params:
            texts[entry.arg_name] = " ".join((entry.description or "").split())
    for field in dataclasses.fields(config_class):
        if "known" in field.metadata:
            texts[field.name] = texts[field.name].replace("{known}", ", ".join(field.metadata["known"]))
    return texts
