"""Reads text files of a data set, such as lists of images or classes."""

from __future__ import annotations

import codecs
from pathlib import Path

_UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_lines(path: Path) -> list[str]:
    """Lines of a UTF-8, UTF-16 or UTF-32 file, without the byte order mark that some editors write.

    Raises:
        ValueError: naming the file, if it has another encoding.
    """
    content = path.read_bytes()
    try:
        return content.decode(_encoding(content)).splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}); save it again with the encoding UTF-8") from error


def _encoding(content: bytes) -> str:
    """UTF-8 unless a byte order mark says something else, or a zero byte beside the first character UTF-16."""
    if content.startswith(_UTF32_MARKS):  # one of them begins like that of UTF-16
        return "utf-32"
    if content.startswith(_UTF16_MARKS):
        return "utf-16"
    if len(content) > 1 and 0 in content[:2] and len(content) % 2 == 0:
        return "utf-16-be" if content[0] == 0 else "utf-16-le"
    return "utf-8-sig"
