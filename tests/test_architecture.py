"""Limits of the structure, as STYLE of the code: what benchmarks/architecture.py measures must stay within them."""

from __future__ import annotations

import ast
import importlib.util
import sys
import tomllib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def architecture():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        spec = importlib.util.spec_from_file_location("architecture", BENCHMARKS / "architecture.py")
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "architecture", module)  # its dataclasses ask for it
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def code(architecture):
    return architecture.modules()


def test_no_modules_import_each_other_in_a_circle(architecture, code):
    known = frozenset(module.name for module in code)
    assert architecture.cycles({module.name: architecture.imports(module, known) for module in code}) == []


def test_circles_are_found(architecture):
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}
    assert [set(group) for group in architecture.cycles(graph)] == [{"a", "b", "c"}]


def test_only_commands_print(code):
    """Everything else logs: `torchseg.console` shows its lines, and they reach the log of the run."""
    command_line = {"torchseg.cli.command", "torchseg.__main__"}
    own_programs = {"torchseg.pipeline.export.trial", "torchseg.pipeline.grid.child"}  # a parent reads what they print
    printing = {
        module.name
        for module in code
        if any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(module.tree))
    }
    others = printing - command_line - own_programs
    assert {name for name in others if not name.startswith("torchseg.pipeline.commands.")} == set()


_PARSERS = {"json": {"load", "loads"}, "yaml": {"load", "load_all", "safe_load", "full_load", "unsafe_load"}}
_READERS = {"json_in", "plain_json", "plain_yaml", "read_json", "read_yaml"}


def _called(node):
    """Module and name of what a call calls, as far as the source says it."""
    function = node.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.value.id, function.attr
    return "", getattr(function, "id", "")


def test_records_are_parsed_in_one_place(code):
    """`torchseg.record` bounds size and depth, and names file and field in its errors."""
    calls = {
        (module.name, *_called(node))
        for module in code
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and not module.name.startswith("torchseg.record")
    }
    assert [each for each in calls if each[2] in _PARSERS.get(each[1], ())] == []
    assert any(each[2] in _READERS for each in calls)


def test_no_field_of_a_record_is_taken_before_it_is_checked(code):
    taken = [
        f"{module.name}:{node.lineno}"
        for module in code
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call) and _called(node.value)[1] in _READERS
    ]
    assert taken == []


def test_function_bodies_fit_a_screen(architecture, code):
    bodies = sorted(architecture.body_lines(each) for module in code for each in architecture.functions(module))
    assert bodies[int(0.9 * len(bodies))] <= 15
    assert bodies[-1] <= 40


def test_every_function_is_typed(architecture, code):
    untyped = [
        f"{module.name}.{each.name}"
        for module in code
        for each in architecture.functions(module)
        if not architecture.is_typed(each)
    ]
    assert untyped == []


def test_folders_stay_small(code):
    folders = [module.path.parent for module in code]
    assert max(map(folders.count, folders)) <= 15


def test_every_package_is_installed():
    root = BENCHMARKS.parent
    listed = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = {
        ".".join(path.parent.relative_to(root).parts)
        for top in ("torchseg", "tf_bridge")
        for path in (root / top).rglob("__init__.py")
    }
    assert {*listed} == found | {"torchseg.scripts"}
