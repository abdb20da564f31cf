"""The structure of the code in numbers: sizes of files and folders, import cycles, functions and their docstrings.

python benchmarks/architecture.py --write docs/explanation/architecture.md
"""

from __future__ import annotations

import argparse
import ast
import re
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from marked_table import write_marked_table

ROOT = Path(__file__).parents[1]
PACKAGES = ("torchseg", "tf_bridge")
SMALL = 60  # lines
_CONTRACT = re.compile(
    r"\(([A-Z](_\w+)?|\d+)(, |\))|arXiv|\bnats\b|\bms\b|in \[0, 1|seconds|bytes|> 0|channels_last"
)  # a shape, a source, a unit or a range
_TENSORS = re.compile(r"Tensor|NDArray|ndarray|\bArray\b|Labels|Images")


@dataclass(frozen=True)
class Module:
    """A source file.

    Attributes:
        name: dotted.
        path: of the file.
        tree: its syntax.
        lines: how many it has.
    """

    name: str
    path: Path
    tree: ast.Module
    lines: int


def modules() -> list[Module]:
    """Every module of the two packages; `__init__` files, which only re-export, are left out."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name != "__init__.py":
                text = path.read_text(encoding="utf-8")
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found.append(Module(name, path, ast.parse(text), len(text.splitlines())))
    return found


def imports(module: Module, known: frozenset[str]) -> set[str]:
    """Modules of the project that this one imports, late imports included, those for type checkers left out."""
    names = set()
    for node in _running(module.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names & known - {module.name}


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _running(child)


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, found by Tarjan's algorithm (doi:10.1137/0201010)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(group)

    for name in graph:
        if name not in index:
            visit(name)
    return found


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Module) -> list[Function]:
    """All functions and methods, nested ones included."""
    return [node for node in ast.walk(module.tree) if isinstance(node, Function)]


def body_lines(function: Function) -> int:
    """Lines from the first statement behind the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def is_typed(function: Function) -> bool:
    """Whether every argument and the result have a type."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    named = [each for each in arguments if each.arg not in ("self", "cls")]
    return function.returns is not None and all(each.annotation is not None for each in named)


def public(module: Module) -> list[Function]:
    """Public functions of the module and public methods of its public classes."""
    found = [node for node in module.tree.body if isinstance(node, Function)]
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found += [each for each in node.body if isinstance(each, Function)]
    return [each for each in found if not each.name.startswith("_")]


def takes_tensors(function: Function) -> bool:
    """Whether an argument or the result is a tensor or an array."""
    notes = [function.returns, *(each.annotation for each in [*function.args.args, *function.args.kwonlyargs])]
    return any(note is not None and _TENSORS.search(ast.unparse(note)) for note in notes)


def table() -> str:
    """The measurements as rows of Markdown."""
    code = modules()
    known = frozenset(module.name for module in code)
    lines = sorted(module.lines for module in code)
    folders = Counter(module.path.parent.relative_to(ROOT).as_posix() for module in code)
    folder, most = folders.most_common(1)[0]
    circles = cycles({module.name: imports(module, known) for module in code})
    every = [each for module in code for each in functions(module)]
    bodies = sorted(body_lines(each) for each in every)
    shown = [each for module in code for each in public(module)]
    tensors = [each for each in shown if takes_tensors(each) and ast.get_docstring(each)]
    stated = [each for each in tensors if _CONTRACT.search(ast.get_docstring(each) or "")]
    rows = [
        ("modules", f"{len(code)}"),
        ("lines of a module, median and 90 % quantile", f"{statistics.median(lines):.0f} and {_quantile(lines)}"),
        (f"modules under {SMALL} lines", f"{sum(each < SMALL for each in lines)}"),
        ("modules over 300 lines", f"{sum(each > 300 for each in lines)}"),
        ("largest folder", f"`{folder}`, {most} modules"),
        ("import cycles, late imports included", f"{len(circles)}"),
        (
            "lines of a function's body, median, 90 % quantile, maximum",
            f"{statistics.median(bodies):.0f}, {_quantile(bodies)}, {bodies[-1]}",
        ),
        ("functions with a type for every argument and result", _share([is_typed(each) for each in every])),
        ("public functions and methods with a docstring", _share([bool(ast.get_docstring(each)) for each in shown])),
        (
            "those on tensors whose docstring gives shapes, units, ranges or a source",
            f"{_percent(len(stated), len(tensors))}",
        ),
    ]
    return "\n".join(["| measured | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _quantile(values: list[int]) -> int:
    return values[int(0.9 * (len(values) - 1))]


def _share(flags: list[bool]) -> str:
    return _percent(sum(flags), len(flags))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="Markdown page with a place for the table.")
    arguments = parser.parse_args()
    text = table()
    print(text)
    if arguments.write:
        write_marked_table(arguments.write, "architecture", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
