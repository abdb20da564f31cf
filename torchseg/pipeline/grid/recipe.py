"""Reads a recipe: a base of ordinary flags, the factors with their levels, and how to measure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from torchseg.cli.command import config_of, other_command
from torchseg.config import FORMATS, PRECISIONS, ExportConfig, MeasureConfig, TrainConfig
from torchseg.models import parse_arguments
from torchseg.record import text_of_file
from torchseg.record.yaml_text import plain_yaml
from torchseg.spec import nearest

FILE = "file"  # the flag of a level that selects one of a training's files
ARGUMENTS = "model_arguments"
FILES = ("torch", *(f"{precision}.{kind}" for kind in FORMATS for precision in PRECISIONS))
EXPORT_FLAGS = ("max_drop", "max_class_drop")
_ELSEWHERE = {  # flags that the grid sets itself, and what the user should do instead
    "out": "--out names the grid's folder",
    "fresh": "--fresh belongs on the command line",
    "threads": "--threads and --jobs belong on the command line, measure.threads is for predictions",
    "seed": "--seed belongs on the command line, or make it a factor",
    "folds": "make folds a factor, e.g. fold: {fold: [1/5, 2/5, 3/5, 4/5, 5/5]}",
    "formats": f"make the files a factor, e.g. precision: {{{FILE}: [torch, int8.tflite]}}",
    "precisions": f"make the files a factor, e.g. precision: {{{FILE}: [torch, int8.tflite]}}",
}
_TRAINING_FLAGS = tuple(each.name for each in dataclasses.fields(TrainConfig) if each.name not in _ELSEWHERE)


@dataclass(frozen=True, kw_only=True)
class Level:
    """One setting of a factor: its name in the tables, and the flags that it sets."""

    name: str
    flags: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Factor:
    """What is varied: an effect needs at least two levels, but a single one is allowed."""

    name: str
    levels: tuple[Level, ...]

    @property
    def trains(self) -> bool:
        """Whether a level changes the training, and not just which of its files is used."""
        return any(flag != FILE for level in self.levels for flag in level.flags)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe as read; `export` holds those flags of the base that only exporting takes."""

    base: Mapping[str, Any]
    export: Mapping[str, str]
    factors: tuple[Factor, ...]
    measure: MeasureConfig


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Reads the YAML file and applies the `NAME=VALUE` changes.

    Raises:
        ValueError: if the file or a change has the wrong form, or names an unknown flag.
    """
    if not path.is_file():
        raise ValueError(f"there is no recipe {path}; give a YAML file, e.g. recipes/unet12.yaml")
    parts = _parts(_yaml(text_of_file(path, remedy="give a YAML file, e.g. recipes/unet12.yaml"), str(path)), path)
    for change in changes:
        _make(change, parts)
    base = parts["base"]
    for name in base:
        _check_flag(name, "base")
    export = {name: text_of(base.pop(name)) for name in EXPORT_FLAGS if name in base}
    measure = _measure(parts["measure"])
    factors = tuple(_factor(name, levels) for name, levels in parts["factors"].items())
    if not factors:
        raise ValueError(f"{path} varies nothing; give factors with levels, e.g. epochs: [50, 100]")
    return Recipe(base=base, export=export, factors=factors, measure=measure)


def text_of(value: Any) -> str:
    """A YAML value as the text of a flag."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(text_of(each) for each in value)}]"
    return str(value)


def arguments_of(flags: Mapping[str, Any]) -> dict[str, Any]:
    """`model_arguments` of these flags, merged with every `model_arguments.NAME`."""
    given = flags.get(ARGUMENTS) or {}
    arguments = dict(given) if isinstance(given, Mapping) else parse_arguments(str(given))
    inside = {name: value for name, value in flags.items() if name.startswith(f"{ARGUMENTS}.")}
    return arguments | {name.removeprefix(f"{ARGUMENTS}."): value for name, value in inside.items()}


def _yaml(text: str, where: str) -> Any:
    try:
        return plain_yaml(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{where} is not YAML: {' '.join(str(error).split())}") from error


def _parts(values: Any, path: Path) -> dict[str, dict[str, Any]]:
    known = ("base", "factors", "measure")
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds no mapping; give {', '.join(known)}")
    for name in values:
        if name not in known:
            raise ValueError(f"{path} has a part '{name}'{nearest(str(name), known)}; there are {', '.join(known)}")
        if not isinstance(values[name] or {}, dict):
            raise ValueError(f"{path}: {name} is {values[name]!r}; give NAME: VALUE lines")
    return {name: {str(key): value for key, value in (values.get(name) or {}).items()} for name in known}


def _make(change: str, parts: dict[str, dict[str, Any]]) -> None:
    """Applies `factors.NAME=LEVELS`, `measure.NAME=VALUE` or `FLAG=VALUE`; null removes the entry."""
    name, equals, text = change.partition("=")
    if not equals:
        raise ValueError(f"--set has '{change}'; give NAME=VALUE, e.g. epochs=1 or \"factors.epochs=[1, 2]\"")
    part, dot, inner = name.partition(".")
    part, inner = (part, inner) if dot and part in ("factors", "measure") else ("base", name)
    if part == "factors" and inner not in parts["factors"]:
        listed = ", ".join(parts["factors"])
        raise ValueError(f"--set names the factor '{inner}'{nearest(inner, parts['factors'])}; there are {listed}")
    value = _yaml(text, f"--set {name}")
    if value is None:
        parts[part].pop(inner, None)
    else:
        parts[part][inner] = value


def _check_flag(name: str, where: str) -> None:
    known = (*_TRAINING_FLAGS, *(EXPORT_FLAGS if where == "base" else (FILE,)))
    if name in _ELSEWHERE and not (name == "seed" and where != "base"):
        raise ValueError(f"{where} sets {name}; {_ELSEWHERE[name]}")
    if name in known or name.startswith(f"{ARGUMENTS}.") or name == "seed":
        return
    if name in EXPORT_FLAGS:
        raise ValueError(f"{where} sets {name}, which all files of a grid share; set it in base")
    further = {each.name for each in dataclasses.fields(ExportConfig)} - set(known)
    hint = "; it is a flag of export that a grid does not take" if name in further else nearest(name, known)
    raise ValueError(f"{where} sets '{name}', which is not a flag of a grid{hint}; see {other_command('train')} --help")


def _factor(name: str, levels: Any) -> Factor:
    """Reads `[50, 100]`, `{flag: [50, 100]}`, or named levels such as `{small: {flag: 1}, large: {flag: 2}}`."""
    flag = name
    if isinstance(levels, dict) and len(levels) == 1 and isinstance(next(iter(levels.values())), list):
        (flag, levels) = next((str(key), value) for key, value in levels.items())
    if isinstance(levels, list):
        named = {text_of(value): {flag: value} for value in levels}
        if len(named) < len(levels):
            raise ValueError(f"factor {name} has a level twice: {', '.join(map(text_of, levels))}")
    elif isinstance(levels, dict) and all(isinstance(value, dict) and value for value in levels.values()):
        named = {text_of(key): value for key, value in levels.items()}
    else:
        raise ValueError(
            f"factor {name} is {levels!r}; give [VALUE, ...], {{FLAG: [VALUE, ...]}} or NAME: {{FLAG: VALUE}}"
        )
    if not named:
        raise ValueError(f"factor {name} has no level; give at least one")
    for level, flags in named.items():
        for each, value in flags.items():
            _check_flag(str(each), f"level {level} of factor {name}")
            if each == FILE and value not in FILES:
                raise ValueError(
                    f"factor {name} names the file '{value}'{nearest(str(value), FILES)}; there are {', '.join(FILES)}"
                )
    return Factor(name=name, levels=tuple(Level(name=level, flags=flags) for level, flags in named.items()))


def _measure(values: Mapping[str, Any]) -> MeasureConfig:
    known = [each.name for each in dataclasses.fields(MeasureConfig)]
    for name in values:
        if name not in known:
            raise ValueError(f"measure sets '{name}'{nearest(name, known)}; there are {', '.join(known)}")
    return config_of(MeasureConfig, {name: text_of(value) for name, value in values.items()})
