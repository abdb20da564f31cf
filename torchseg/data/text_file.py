"""Reads text files of a data set, such as lists of images or classes."""

from __future__ import annotations

from pathlib import Path


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8 file, without the byte order mark that some editors write.

    Raises:
        ValueError: naming the file, if it has another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}); save it again with the encoding UTF-8") from error
