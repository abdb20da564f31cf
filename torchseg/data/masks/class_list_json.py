"""Reads classes from JSON, from a Python list or dictionary, and from YAML with a key such as `names:`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from torchseg.record import plain_json
from torchseg.record.yaml_text import LIMIT_CHARACTERS, plain_yaml

_KEYS = ("names", "classes", "labels", "categories", "name", "class", "label", "title", "class_name")
_VALUES = ("id", "value", "index", "class_id", "label_id", "pixel_value")
_COLOURS = ("color", "colour", "rgb", "hex", "color_rgb", "color_hex")
_YAML = re.compile(r"(?m)^(names|classes|labels|categories):")
_KEY, _FLOW = re.compile(r"(?m)^\w+:"), re.compile(r"(?m)^\w+:\s*[\[{]")
Described = tuple[str, int | None, str]  # name, value in the masks, colour as text


def described_classes(text: str, path: Path) -> list[Described] | None:
    """Name, mask value and colour of each class, in the file's order; None for a list of another form.

    Raises:
        ValueError: naming the file, if it begins like JSON or XML and cannot be read.
    """
    start = text.strip()[:1]
    if start == "<" or re.match(r"\s*\w+\s*\{\s*$", text.split("\n")[0]):
        raise ValueError(f"{path} has another format ('{text.strip().splitlines()[0]}'); write one class per line")
    if start in ("{", "["):
        return _classes(_parsed(text, path), path)
    if not _YAML.search(text) or (len(_KEY.findall(text)) == 1 and not _FLOW.search(text)):
        return None
    try:
        content = plain_yaml(text)
    except yaml.YAMLError:
        return None
    inner = next((content[key] for key in _KEYS if key in content), None) if isinstance(content, Mapping) else None
    return _classes(inner, path) if isinstance(inner, Mapping | list) else None


def _parsed(text: str, path: Path) -> Any:
    if len(text) > LIMIT_CHARACTERS:  # Python's parser is made for less
        raise ValueError(f"{path} has {len(text)} characters; expected at most {LIMIT_CHARACTERS} of a list of classes")
    try:
        return plain_json(text)
    except ValueError as error:
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise ValueError(f"{path} begins like JSON and is none ({error}); write one class per line") from error


def _classes(content: Any, path: Path) -> list[Described]:
    if isinstance(content, Mapping):
        inner = next((content[key] for key in _KEYS[:4] if isinstance(content.get(key), Mapping | list)), None)
        if inner is not None:
            return _classes(inner, path)
        return [_of_pair(key, value, path) for key, value in content.items()]
    return [_of_entry(entry, path) for entry in content]


def _of_entry(entry: Any, path: Path) -> Described:
    if isinstance(entry, Mapping):
        name = next((entry[key] for key in _KEYS if isinstance(entry.get(key), str)), None)
        value = next((entry[key] for key in _VALUES if key in entry), None)
        colour = next((entry[key] for key in _COLOURS if key in entry), "")
        if name is not None:
            return name, None if value is None else _number(value, path), _colour(colour, path)
    if not isinstance(entry, str):
        raise ValueError(f"{path} has the entry {entry!r}, which is no class; write one name per line")
    return entry, None, ""


def _of_pair(key: Any, value: Any, path: Path) -> Described:
    """A class of a dictionary: number and name, name and number, or name and colour."""
    if isinstance(value, Mapping):
        described = _of_entry(value if any(each in value for each in _KEYS) else {"name": str(key), **value}, path)
        return described if not str(key).isdecimal() else (described[0], int(key), described[2])
    if isinstance(value, str) and str(key).isdecimal():
        return value, int(key), ""
    if isinstance(value, int) or (isinstance(value, str) and value.isdecimal() and len(value) < 4):
        return str(key), int(value), ""
    return str(key), None, _colour(value, path)


def _number(value: Any, path: Path) -> int:
    if not str(value).isdecimal():
        raise ValueError(f"{path} gives a class the number {value!r}; give its value in the masks, from 0 to 255")
    return int(value)


def _colour(value: Any, path: Path) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and len(value) in (3, 4) and all(isinstance(each, int | str) for each in value):
        return ",".join(str(each) for each in value[:3])
    raise ValueError(f"{path} gives the colour {value!r}; write #804080, or three numbers from 0 to 255")
