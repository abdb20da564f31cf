"""Makes a dataclass of what a JSON or YAML file holds, each value checked against the type of its field."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from torchseg.record.text import RecordError, damaged, shortened

Record = TypeVar("Record")


def build(kind: type[Record], values: Mapping[str, Any], *, path: Path, remedy: str) -> Record:
    """Makes a dataclass of a record's values, each checked against the type of its field; lists become tuples.

    Raises:
        RecordError: for a missing, unknown or wrong value.
    """
    return _build(kind, values, _Place(path, remedy), "")


@dataclasses.dataclass(frozen=True)
class _Place:
    path: Path
    remedy: str

    def error(self, name: str, value: object, expected: str) -> RecordError:
        return damaged(self.path, f"{name} is {shortened(value)}, expected {expected}", self.remedy)


def _build(kind: type[Record], values: Any, place: _Place, prefix: str) -> Record:
    if not isinstance(values, Mapping):
        raise place.error(prefix.rstrip(".") or "it", values, "an object")
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise place.error(f"{prefix}{name}", values[name], f"no such field, but {', '.join(fields)}")
    for name, field in fields.items():
        if name not in values and field.default is field.default_factory is dataclasses.MISSING:
            raise place.error(f"{prefix}{name}", None, "a value")
    try:
        return kind(**{name: _fitted(value, hints[name], place, prefix + name) for name, value in values.items()})
    except RecordError:
        raise
    except (ValueError, TypeError) as error:  # a rule of the dataclass itself
        raise damaged(place.path, str(error), place.remedy) from error


def _fitted(value: Any, kind: Any, place: _Place, name: str) -> Any:
    """The value if it has this type."""
    origin, inside = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build(kind, value, place, f"{name}.")  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        return _one_of(value, inside, place, name)
    if (kind is type(None) and value is None) or (origin is Literal and value in inside):
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, dict):
        return {key: _fitted(each, inside[1], place, f"{name}.{key}") for key, each in value.items()}
    if isinstance(origin, type) and issubclass(origin, Sequence) and isinstance(value, list):
        kinds = inside if origin is tuple and inside[-1] is not Ellipsis else inside[:1] * len(value)
        if len(kinds) != len(value):
            raise place.error(name, value, f"a list of {len(kinds)}")
        pairs = zip(value, kinds, strict=True)
        return tuple(_fitted(each, kind, place, f"{name}[{at}]") for at, (each, kind) in enumerate(pairs))
    if kind is Any or _is_plain(value, kind):
        return value
    raise place.error(name, value, _described(kind))


def _one_of(value: Any, kinds: Sequence[Any], place: _Place, name: str) -> Any:
    """The value as the first of these types that it has."""
    for kind in kinds[1:]:
        try:
            return _fitted(value, kind, place, name)
        except RecordError:
            continue
    return _fitted(value, kinds[0], place, name)


def _is_plain(value: Any, kind: Any) -> bool:
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float)
    return kind in (int, bool, str) and isinstance(value, kind)


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    known = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path"}
    return known.get(kind) or ("a list" if issubclass(get_origin(kind) or object, Sequence) else "an object")
