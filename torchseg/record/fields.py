"""Makes a dataclass of what a JSON or YAML file holds, each value checked against the type of its field."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from torchseg.record.text import RecordError, damaged, shortened

Record = TypeVar("Record")
_BEYOND = 2**63  # whole numbers from here on overflow where arrays hold them


def build(kind: type[Record], values: Any, *, path: Path, remedy: str, others_allowed: bool = False) -> Record:
    """Makes a dataclass of a record's values, each checked against the type of its field; lists become tuples.

    Args:
        kind: the dataclass.
        values: of the record, as JSON or YAML gave them.
        path: of the record, for messages.
        remedy: ends the message, e.g. `train again`.
        others_allowed: whether the record may have fields that the dataclass lacks; they are left out.

    Raises:
        RecordError: for a missing, unknown or wrong value.
    """
    return _build(kind, values, _Place(path, remedy, others_allowed), "")


@dataclasses.dataclass(frozen=True)
class _Place:
    path: Path
    remedy: str
    others_allowed: bool

    def error(self, name: str, value: object, expected: str) -> RecordError:
        return damaged(self.path, f"{name} is {shortened(value)}, expected {expected}", self.remedy)


def _build(kind: type[Record], values: Any, place: _Place, prefix: str) -> Record:
    if not isinstance(values, Mapping):
        raise place.error(prefix.rstrip(".") or "it", values, "an object")
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in [] if place.others_allowed else values:
        if name not in fields:
            raise place.error(f"{prefix}{name}", values[name], f"no such field, but {', '.join(fields)}")
    for name, field in fields.items():
        if name not in values and field.default is field.default_factory is dataclasses.MISSING:
            raise damaged(place.path, f"{prefix}{name} is missing, expected a value", place.remedy)
    try:
        known = {name: value for name, value in values.items() if name in fields}
        return kind(**{name: _fitted(value, hints[name], place, prefix + name) for name, value in known.items()})
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
        return {key: _fitted(each, inside[1], place, f"{name}.{str(key)[:40]}") for key, each in value.items()}
    if isinstance(origin, type) and issubclass(origin, Sequence) and isinstance(value, list):
        kinds = inside if origin is tuple and inside[-1] is not Ellipsis else inside[:1] * len(value)
        if len(kinds) != len(value):
            raise place.error(name, value, f"a list of {len(kinds)}")
        pairs = zip(value, kinds, strict=True)
        return tuple(_fitted(each, kind, place, f"{name}[{at}]") for at, (each, kind) in enumerate(pairs))
    if kind is Any or _is_plain(value, kind):
        return value
    is_large = kind in (int, float) and isinstance(value, int) and not isinstance(value, bool)
    raise place.error(name, value, "a number of at most 63 bits" if is_large else _described(kind))


def _one_of(value: Any, kinds: Sequence[Any], place: _Place, name: str) -> Any:
    """The value as the first of these types that it has."""
    for kind in kinds[1:]:
        try:
            return _fitted(value, kind, place, name)
        except RecordError:
            continue
    return _fitted(value, kinds[0], place, name)


def _is_plain(value: Any, kind: Any) -> bool:
    if kind in (int, float) and (isinstance(value, bool) or (isinstance(value, int) and abs(value) >= _BEYOND)):
        return False
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return kind in (int, bool, str) and isinstance(value, kind)


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    known = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text", Path: "a path"}
    return known.get(kind) or ("a list" if issubclass(get_origin(kind) or object, Sequence) else "an object")
