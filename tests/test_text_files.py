from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BINARY = {"Image.open", "os.open", "source.open", "archive.open"}  # these know no encoding
FILES = [path for part in ("torchseg", "tf_bridge", "scripts", "benchmarks") for path in (ROOT / part).rglob("*.py")]


def text_calls_without_encoding(source):
    """Lines that read or write text in whatever encoding the machine prefers, which on Windows is not UTF-8."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and not any(each.arg == "encoding" for each in call.keywords):
            name = ast.unparse(call.func)
            method = name.rpartition(".")[2]
            opened = method == "open" and name not in BINARY and "b" not in _mode(call, takes_path=name == "open")
            if opened or method in ("read_text", "write_text", "TextIOWrapper", "FileHandler"):
                yield call.lineno


def _mode(call, *, takes_path):
    given = [each.value for each in call.keywords if each.arg == "mode"] or call.args[takes_path:][:1]
    return given[0].value if given and isinstance(given[0], ast.Constant) else "r"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("path.read_text()", True),
        ("path.open('w', newline='')", True),
        ("open(path)", True),
        ("path.open('rb')", False),
        ("open(path, 'ab')", False),
        ("path.read_text(encoding='utf-8')", False),
    ],
)
def test_the_search_tells_text_from_bytes(code, found):
    assert bool(list(text_calls_without_encoding(code))) == found


def test_every_text_file_is_read_and_written_with_an_encoding():
    found = {
        f"{path.relative_to(ROOT).as_posix()}:{line}"
        for path in FILES
        for line in text_calls_without_encoding(path.read_text(encoding="utf-8"))
    }
    assert found == set()
