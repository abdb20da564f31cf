"""Reads `classes.txt`: names, and the colours or values that stand for them in a mask."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torchseg.data.masks.class_list_json import Described, described_classes
from torchseg.data.text_file import read_lines
from torchseg.plural import verb
from torchseg.spec import IGNORE_INDEX

IGNORED_NAME = "ignore"
_NAME_HEADINGS = {"name", "class", "label", "class_name", "label_name", "classname", "names", "classes", "labels"}
_NAME_HEADINGS |= {"category", "categories"}
_HEADINGS = _NAME_HEADINGS | {"id", "index", "value", "class_id", "label_id", "number", "pixel", "pixel_value", "code"}
_HEADINGS |= {"r", "g", "b", "red", "green", "blue", "alpha", "rgb", "hex", "colour", "color", "color_rgb"}
_HEADINGS |= {"color_hex", "parts", "actions", ""}
_SHADES = ({"r", "g", "b"}, {"red", "green", "blue"})
_NO_CLASS = ("__ignore__", "_ignore_")  # the first label of Labelme's lists, which has no number
_NUMBER = r"(?:\d{1,3})"
_THREE = rf"({_NUMBER})[\s,;:]+({_NUMBER})[\s,;:]+({_NUMBER})"
_TRIPLE = re.compile(rf"\(?\[?{_THREE}\]?\)?")
_OPAQUE = (
    (re.compile(rf"({_THREE})[\s,;:]+255\s*([\])]?)$"), r"\1\5"),
    (re.compile(r"((?:#|0[xX])[0-9a-fA-F]{6})[fF]{2}$"), r"\1"),
    (re.compile(r"(#|0[xX])[fF]{2}([0-9a-fA-F]{6})$"), r"\1\2"),
)
_READ_AS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u3000": " ", "\uff0c": ",", "\uff1a": ":", "\u2192": ":"})
_READ_AS |= str.maketrans(dict.fromkeys("\u200b\u2060\ufeff", ""))  # of no width
_COMMENTS = ("#", "//", ";", "%", "--", "/*")
_BULLETS = ("- ", "* ", "\u2022 ")
_SEPARATORS = " \t,;:="
_MARKED = re.compile(r"(?:#|0[xX])([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_NUMBERED = (
    r"(?P<value>\d+)(?:\s*[:,;=\t.)]|\s+-)\s*(?P<name>\S.*)",
    r"(?P<name>.*\S)\s*[:,;=\t]\s*(?P<value>\d+)",
    r"(?P<value>\d+)\s+(?P<name>\S.*)",
    r"(?P<name>.*\S)\s+(?P<value>\d+)",
)
_LOOSE = _NUMBERED[2:]  # only where the lines count on and names differ, because a name may begin or end with a number
_QUOTED = re.compile(r'"([^",;\t]*)"')  # a field of a table
_BARE = re.compile(r"[0-9a-fA-F]{6}")
_COLOUR = re.compile(rf"{_TRIPLE.pattern}|{_MARKED.pattern}|{_BARE.pattern}")


@dataclass(frozen=True, kw_only=True)
class ClassList:
    """The classes of a data set, and what stands for them in its masks.

    Attributes:
        names: of the classes, in their order.
        values: class, or the ignored value, by the value in a mask without colours.
        colours: class, or the ignored value, by packed colour `0xRRGGBB`; empty if the list gives no colours.
        source: name of the file, for messages.
    """

    names: tuple[str, ...]
    values: Mapping[int, int]
    colours: Mapping[int, int] = field(default_factory=dict)
    source: str = "classes.txt"


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One line: its number in the file, the name, and the value and the colour if it gives them."""

    line: int
    name: str
    value: int | None = None
    colour: int | None = None


def read_class_list(path: Path) -> ClassList:
    """Reads one class per line, in the order of the mask values: a name, and its colour if masks are coloured.

    A colour is written as `RRGGBB`, `#RRGGBB`, `0xRRGGBB` or three numbers from 0 to 255, after a space, tab, comma,
    semicolon or colon. A bare `RRGGBB` counts only if every line has a colour, because `facade` is a word, too. Lines
    that all begin with a number and a separator (`7: car`) give the mask values themselves. The name `ignore` marks
    a value or colour that is ignored. Empty lines, comments (`# ...`), headings, the byte order mark and the
    bullets of a YAML list are skipped.

    Raises:
        ValueError: naming the file and the line: names or colours that repeat, fewer than two classes, a line that can
            be read in two ways.
    """
    stored = read_lines(path)
    described = described_classes("\n".join(stored), path)
    if described is None:
        entries = _with_values(_with_colours(_plain(stored), path), path)
    else:
        entries = _of_described(described, path)
    _check_colours(entries, path)
    _check_repeats(entries, path)
    names = tuple(entry.name for entry in entries if entry.name.lower() != IGNORED_NAME)
    if len(names) < 2:
        raise ValueError(
            f"{path} names {len(names)} {verb(len(names), 'class', 'classes')}; write at least two, one per line"
        )
    if len(names) > IGNORE_INDEX:
        raise ValueError(f"{path} names {len(names)} classes and masks hold at most {IGNORE_INDEX}; name fewer")
    class_of = {name: position for position, name in enumerate(names)}
    values, colours = {}, {}
    for position, entry in enumerate(entries):
        meaning = class_of.get(entry.name, IGNORE_INDEX)
        values[position if entry.value is None else entry.value] = meaning
        if entry.colour is not None:
            colours[entry.colour] = meaning
    return ClassList(names=names, values=values, colours=colours, source=path.name)


def _plain(stored: Sequence[str]) -> list[tuple[int, str]]:
    """Lines with their numbers, without comments, headings, bullets, a count of classes, and opaque alpha."""
    lines = [(number, line.translate(_READ_AS).strip()) for number, line in enumerate(stored, start=1)]
    lines = [(number, text) for number, text in lines if text and not _is_comment(text)]
    lines = [(number, re.sub(r"\s+(?:#|//)(\s.*)?$", "", text)) for number, text in lines]
    lines = [(number, _QUOTED.sub(r"\1", text) if text.count('"') > 2 else text) for number, text in lines]
    if lines and all(text.startswith("|") for _, text in lines):  # a table of Markdown
        lines = [(number, re.sub(r"\s*\|\s*", ",", text.strip("| "))) for number, text in lines]
        lines = [(number, text) for number, text in lines if text.strip("-:, ")]
    lines = [(number, re.sub(r"\s*[-=]>\s*", ": ", text)) for number, text in lines]
    if lines and (_is_heading(lines[0][1]) or lines[0][1].lower() in _NO_CLASS or _is_count(lines)):
        lines = lines[1:]
    for bullet in _BULLETS:
        if all(text.startswith(bullet) for _, text in lines):
            lines = [(number, text.removeprefix(bullet).strip()) for number, text in lines]
    for pattern, kept in _OPAQUE:
        if lines and all(pattern.search(text) or text.lower() == IGNORED_NAME for _, text in lines):
            return [(number, pattern.sub(kept, text)) for number, text in lines]
    return lines


def _is_count(lines: Sequence[tuple[int, str]]) -> bool:
    """Whether the first line only says how many follow."""
    return lines[0][1] == str(len(lines) - 1) and not all(text.isdecimal() for _, text in lines)


def _of_described(described: Sequence[Described], path: Path) -> list[_Entry]:
    colours = [_COLOUR.fullmatch(colour) for _, _, colour in described]
    entries = []
    for number, ((name, value, text), found) in enumerate(zip(described, colours, strict=True), start=1):
        if text and not found:
            raise ValueError(
                f"{path} gives '{name}' the colour '{text}'; write #804080, or three numbers from 0 to 255"
            )
        colour = _packed(text, path, number) if text else None
        entries.append(_Entry(line=number, name=name.strip(), value=value, colour=colour))
    _check_values([entry for entry in entries if entry.value is not None], path)
    if any(entry.value is None for entry in entries):
        return entries
    return sorted(entries, key=lambda entry: entry.value or 0)


def _is_comment(text: str) -> bool:
    """Whether a line starts like a comment and is no colour in front of a name."""
    return text.startswith(_COMMENTS) and not re.match(rf"{_MARKED.pattern}[{_SEPARATORS}]", text)


def _is_heading(text: str) -> bool:
    fields = [part.strip(' "').lower() for part in re.split(r"[\t,;:\s]+", text)]
    partial = any(not shades.isdisjoint(fields) and not shades <= set(fields) for shades in _SHADES)  # `class red`
    return set(fields) <= _HEADINGS and not _NAME_HEADINGS.isdisjoint(fields) and not partial


def _with_colours(lines: Sequence[tuple[int, str]], path: Path) -> list[_Entry]:
    """Splits every line into name and colour; a colour that can be a word or number counts if every line has one."""
    split = [(number, text, *_split_colour(text, path, number)) for number, text in lines]
    have = [colour is not None or name.lower() == IGNORED_NAME for _, _, name, colour, _ in split]
    entries = []
    for number, text, name, colour, is_meant in split:
        if colour is None or (not is_meant and not all(have)):
            if colour is not None and any(character.isdigit() for character in text.replace(name, "", 1)):
                lacking = lines[have.index(False)]
                raise ValueError(
                    f"{path}, line {number}: the end of '{text}' can be a colour or part of the name, and line "
                    f"{lacking[0]} ('{lacking[1]}') has no colour; write colours as #RRGGBB, or give every line one"
                )
            entries.append(_Entry(line=number, name=_unquoted(text)))
        else:
            entries.append(_Entry(line=number, name=_unquoted(name), colour=colour))
    return entries


def _check_colours(entries: Sequence[_Entry], path: Path) -> None:
    """Raises a ValueError for a colour with a wrong number of digits, or a class without colour beside others."""
    coloured = next((entry for entry in entries if entry.colour is not None), None)
    for entry in entries:
        if odd := re.search(r"(?:^|[\s,;:])(#[0-9a-fA-F]+|0[xX][0-9a-fA-F]+)$", entry.name):
            raise ValueError(
                f"{path}, line {entry.line}: '{odd[1]}' is no colour; write six hexadecimal digits, e.g. #804080"
            )
        if coloured and entry.colour is None and entry.name.lower() != IGNORED_NAME:
            raise ValueError(
                f"{path}, line {entry.line}: '{entry.name}' has no colour, and line {coloured.line} "
                f"('{coloured.name}') has one; give every class its colour (black is #000000)"
            )


def _split_colour(text: str, path: Path, line: int) -> tuple[str, int | None, bool]:
    """The name, the packed colour if there is one, and whether it can be nothing but a colour."""
    body = text.rstrip(":;, \t")
    for pattern, meant in ((_TRIPLE, None), (_MARKED, True), (_BARE, False)):
        end = rf"(?P<name>.*?)(?P<separator>[{_SEPARATORS}]+)(?i:rgba?)?(?P<colour>{pattern.pattern})$"
        start = rf"(?P<colour>{pattern.pattern})(?P<separator>[{_SEPARATORS}]+)(?P<name>.*)$"
        for number, expression in enumerate((end, start)):
            if (number == 1 and not meant and pattern is not _TRIPLE) or not (found := re.match(expression, body)):
                continue
            name = found["name"].strip(_SEPARATORS)
            if not name or (number == 1 and re.fullmatch(r"[\d\W]+", name)):
                continue
            is_meant = any(character in found["colour"] for character in ",;:") if meant is None else meant
            return name, _packed(found["colour"], path, line), is_meant
    return text, None, False


def _packed(text: str, path: Path, line: int) -> int:
    if match := _TRIPLE.fullmatch(text):
        red, green, blue = (int(number) for number in match.groups())
        if max(red, green, blue) > 255:
            raise ValueError(f"{path}, line {line}: the colour {text} has a number above 255; give three from 0 to 255")
        return red << 16 | green << 8 | blue
    digits = text.removeprefix("#")
    digits = digits[2:] if digits[:2].lower() == "0x" else digits
    return int("".join(digit * 2 for digit in digits) if len(digits) == 3 else digits, 16)


def _with_values(entries: Sequence[_Entry], path: Path) -> list[_Entry]:
    """Takes the mask values from lines that all begin with one (`7: car`), or all end with one (`car: 7`)."""
    for pattern in _NUMBERED:
        found = [re.fullmatch(pattern, entry.name) for entry in entries]
        values = {int(match["value"]) for match in found if match}
        if not values:
            continue
        in_turn = values - {IGNORE_INDEX} or values
        counted = len(values) == len(entries) and max(in_turn) - min(in_turn) < len(entries)
        counted &= min(in_turn) < 2 or pattern == _LOOSE[0]  # `zone 5` and `area 6` may be names
        differ = len({match["name"] for match in found if match}) == len(entries)
        if all(found) and ((counted and differ) or pattern not in _LOOSE):
            numbered = [
                _Entry(line=entry.line, name=_unquoted(match["name"]), value=int(match["value"]), colour=entry.colour)
                for entry, match in zip(entries, found, strict=True)
                if match
            ]
            _check_values(numbered, path)
            return sorted(numbered, key=lambda entry: entry.value or 0)
    return list(entries)


def _check_values(entries: Sequence[_Entry], path: Path) -> None:
    seen: dict[int | None, int] = {}
    for entry in entries:
        if entry.value is not None and entry.value > IGNORE_INDEX:
            raise ValueError(f"{path}, line {entry.line}: {entry.value} is no mask value; give one from 0 to 255")
        if entry.value in seen:
            raise ValueError(
                f"{path} gives the value {entry.value} twice, in lines {seen[entry.value]} and {entry.line}"
            )
        seen[entry.value] = entry.line


def _check_repeats(entries: Sequence[_Entry], path: Path) -> None:
    names: dict[str, int] = {}
    colours: dict[int, _Entry] = {}
    for entry in entries:
        if not entry.name:
            raise ValueError(f"{path}, line {entry.line} has no name; write the name of a class in front of its colour")
        if entry.name in names and entry.name.lower() != IGNORED_NAME:
            raise ValueError(
                f"{path} names the class '{entry.name}' twice, in lines {names[entry.name]} and {entry.line}; give "
                "each class its own name"
            )
        names[entry.name] = entry.line
        if entry.colour is not None:
            other = colours.setdefault(entry.colour, entry)
            if other.name != entry.name:
                raise ValueError(
                    f"{path} gives the colour {entry.colour:06X} to '{other.name}' (line {other.line}) and "
                    f"'{entry.name}' (line {entry.line}); give each class its own colour"
                )


def _unquoted(name: str) -> str:
    name = name.strip().rstrip(",;").rstrip()
    return name[1:-1].strip() if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'" else name
