"""Reads JSON and YAML files, within bounds, and compares them with the checksum that they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchseg.record.json_text import as_json, plain_json

LIMIT_BYTES = 64 * 2**20
CHECKSUM = "checksum"


class RecordError(ValueError):
    """A record cannot be read."""


def damaged(path: Path, what: str, remedy: str) -> RecordError:
    """The error that says what is wrong with a file, and what to do."""
    return RecordError(f"{path} is damaged: {what}; {remedy}")


def shortened(value: object) -> str:
    """The value as Python writes it, for a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def text_of_file(path: Path, *, remedy: str) -> str:
    """The text of a file in UTF-8.

    Args:
        path: of the file.
        remedy: ends the message, e.g. `train again`.

    Raises:
        RecordError: if it is no file, too large or not UTF-8.
    """
    if not path.is_file():
        raise RecordError(f"{path} is missing or no plain file; {remedy}")
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise RecordError(f"{path} has {size} bytes; expected at most {LIMIT_BYTES}: {remedy}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise damaged(path, f"byte {error.start} is not UTF-8", remedy) from error
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror}); {remedy}") from error


def read_json(path: Path, *, remedy: str) -> dict[str, Any]:
    """The object in a JSON file, compared with its checksum if it has one.

    Raises:
        RecordError: if the file is missing, damaged or holds something else.
    """
    return _checked(_mapping(json_in(path, remedy=remedy), path, remedy), path, remedy)


def json_in(path: Path, *, remedy: str) -> Any:
    """The value in a JSON file, which need not be an object; raises RecordError as `read_json` does."""
    text = text_of_file(path, remedy=remedy)
    try:
        return plain_json(text)
    except ValueError as error:
        raise damaged(path, str(error), remedy) from error


def read_yaml(path: Path, *, remedy: str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        RecordError: if the file is missing, damaged or holds something else.
    """
    import yaml

    from torchseg.record.yaml_text import plain_yaml

    try:
        values = plain_yaml(text_of_file(path, remedy=remedy))
    except yaml.YAMLError as error:
        raise damaged(path, " ".join(str(error).split()), remedy) from error
    return _mapping(values, path, remedy)


def with_checksum(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON gives them back, with a checksum that `read_json` compares."""
    plain = as_json(values)
    return {**plain, CHECKSUM: _checksum(plain)}


def _mapping(values: Any, path: Path, remedy: str) -> dict[str, Any]:
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise damaged(path, f"it is {shortened(values)}, expected an object with named fields", remedy)
    return values


def _checked(values: dict[str, Any], path: Path, remedy: str) -> dict[str, Any]:
    if CHECKSUM not in values:  # written by version 0.2 or earlier
        return values
    left = {name: value for name, value in values.items() if name != CHECKSUM}
    if values[CHECKSUM] != _checksum(left):
        raise RecordError(
            f"{path} was changed after it was written: its values do not have the checksum that it records; {remedy}, "
            f"or remove the field {CHECKSUM} if you made the change"
        )
    return left


def _checksum(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, default=str)
    import hashlib  # it loads OpenSSL, which the help of a command need not wait for

    return hashlib.sha256(text.encode()).hexdigest()
