"""CSV tables. A table gets its final name only when it is complete."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from torchseg.atomic_file import partial_file

_LIMIT_BYTES = 2**30
_REMEDY = "delete it and run the command that wrote it again"
CRLF = "\r\n"  # how RFC 4180 ends a line of CSV


class Table:
    """Writes rows to a temporary file and moves it to `path` at the end; an exception leaves `path` as it was."""

    def __init__(self, path: Path, columns: Sequence[str], *, line_end: str = "\n") -> None:
        self._closing = ExitStack()
        partial = self._closing.enter_context(partial_file(path))
        file = self._closing.enter_context(partial.open("w", newline="", encoding="utf-8"))
        self._writer = csv.DictWriter(file, columns, lineterminator=line_end)
        self._writer.writeheader()

    def write(self, row: Mapping[str, object]) -> None:
        """Adds a row; None, NaN and missing columns become empty cells."""
        self._writer.writerow({column: _cell(value) for column, value in row.items()})

    def __enter__(self) -> Table:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.__exit__(kind, error, trace)


def write_rows(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, line_end: str = "\n"
) -> None:
    """Writes a whole table as `Table` does."""
    with Table(path, columns, line_end=line_end) as table:
        for row in rows:
            table.write(row)


def read_table(path: Path, *, needed: Collection[str] = ()) -> list[dict[str, str]]:
    """Rows of a CSV file, each a dictionary by column name; an empty list if there is no such file.

    Args:
        path: of the file.
        needed: columns that it must have.

    Raises:
        ValueError: if it is too large, not a table in UTF-8, or lacks a column.
    """
    if not path.is_file():
        return []
    if path.stat().st_size > _LIMIT_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes; expected at most {_LIMIT_BYTES}: {_REMEDY}")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            rows = [{key: value or "" for key, value in row.items() if key is not None} for row in table]
            missing = [name for name in needed if name not in (table.fieldnames or ())]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged ({error}); {_REMEDY}") from error
    if missing:
        raise ValueError(f"{path} is damaged: it has no column {', '.join(missing)}; {_REMEDY}")
    return rows


def read_values(path: Path, *, texts: Collection[str]) -> list[dict[str, Any]]:
    """Rows with typed values: numbers, booleans, None for an empty cell; words and columns in `texts` stay strings."""
    return [{name: cell if name in texts else _value(cell) for name, cell in row.items()} for row in read_table(path)]


def _value(cell: str) -> bool | float | str | None:
    if cell in ("", "true", "false"):
        return None if not cell else cell == "true"
    try:
        return int(cell) if cell.isascii() and cell.lstrip("-").isdecimal() else float(cell)
    except ValueError:
        return cell


def _cell(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value
