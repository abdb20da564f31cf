"""Generates docs/reference/api.md from the docstrings: `python -m torchseg.api.page docs/reference/api.md`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from docstring_parser import Docstring, parse

from torchseg import api
from torchseg.api.adoption import AdoptOptions
from torchseg.api.options import CompressOptions, ExportOptions, ScoreOptions, TrainOptions
from torchseg.cli.command import help_texts
from torchseg.config import AdoptConfig, CompressConfig, DistillConfig, ExportConfig, ScoreConfig

FUNCTIONS = ("open_data", "load", "train", "compress", "export", "score", "adopt", "trust_code")
RESULTS = ("Data", "Network", "CompressionReport", "ExportedFile", "ScoreTable")
OPTIONS: Mapping[str, tuple[type[Any], type[Any]]] = {
    "train": (TrainOptions, DistillConfig),
    "compress": (CompressOptions, CompressConfig),
    "export": (ExportOptions, ExportConfig),
    "score": (ScoreOptions, ScoreConfig),
    "adopt": (AdoptOptions, AdoptConfig),
}
"""Options of each function, and the config that describes them."""


def page() -> str:
    """The whole page, in Markdown."""
    overview = inspect.getdoc(api) or ""
    lines = ["# In Python", "", *_overview(overview), "", "## Functions", ""]
    for name in FUNCTIONS:
        lines += _function(name, getattr(api, name))
    lines += ["## Results", ""]
    for name in RESULTS:
        lines += _class(name, getattr(api, name))
    lines += ["_Generated from the docstrings by `python -m torchseg.api.page docs/reference/api.md`._"]
    return "\n".join(lines) + "\n"


def _overview(text: str) -> Iterator[str]:
    """The docstring, with its indented example as a fenced block."""
    for block in re.split(r"\n(?=\S)", text):
        before, _, example = block.partition("\n\n    ")
        yield before
        if example:
            yield from ("", "```python", *(f"    {example}".replace("\n    ", "\n")[4:].rstrip(),), "```", "")


def _function(name: str, function: Callable[..., Any]) -> Iterator[str]:
    described = parse(function.__doc__ or "")
    yield from (f"### torchseg.{name}", "", "```python", *_signature(name, function), "```", "", *_summary(described))
    for param in described.params:
        if not param.arg_name.startswith("*"):
            yield f"- `{param.arg_name}`: {_joined(param.description)}"
    yield ""
    if described.returns:
        yield from (f"Returns: {_joined(described.returns.description)}", "")
    for raised in described.raises:
        yield f"- `{raised.type_name}` {_joined(raised.description)}"
    yield ""
    if name in OPTIONS:
        yield from _options(name)


def _signature(name: str, function: Callable[..., Any]) -> Iterator[str]:
    parameters = inspect.signature(function).parameters.values()
    yield f"{name}("
    keyword = False
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not keyword:
            keyword = True
            yield "    *,"
        star = "**" if each.kind is each.VAR_KEYWORD else ""
        default = "" if each.default is each.empty else f" = {each.default!r}"
        yield f"    {star}{each.name}: {each.annotation}{default},"
    yield f") -> {inspect.signature(function).return_annotation}"


def _options(name: str) -> Iterator[str]:
    """A table of the options of a function; those in an earlier table are only named."""
    known = [each for each in list(OPTIONS)[: list(OPTIONS).index(name)] if _texts(each).items() & _texts(name).items()]
    seen = {option: each for each in reversed(known) for option in _texts(each).items() & _texts(name).items()}
    for each in known:
        names = [f"`{option}`" for option, text in _texts(name).items() if seen.get((option, text)) == each]
        if names:
            yield from (f"Options as of `{each}`: {', '.join(names)}.", "")
    names_type, config = OPTIONS[name]
    defaults = {each.name: each.default for each in fields(config)}
    yield from ("| option | type | default | |", "|---|---|---|---|")
    for option, text in _texts(name).items():
        if (option, text) not in seen:
            kind = names_type.__annotations__[option].__forward_arg__.replace("|", "\\|")
            yield f"| `{option}` | `{kind}` | `{defaults[option]!r}` | {text} |"
    yield ""


def _texts(name: str) -> dict[str, str]:
    """Help text of each option in the order of the config, with flags spelled as in Python."""
    names, config = OPTIONS[name]
    texts = help_texts(config)
    chosen = [each.name for each in fields(config) if each.name in names.__annotations__]
    return {option: re.sub(r"--(\w+)", r"`\1`", texts[option]) for option in chosen}


def _class(name: str, kind: type[Any]) -> Iterator[str]:
    described = parse(kind.__doc__ or "")
    yield from (f"### torchseg.{name}", "", *_summary(described))
    for param in described.params:
        yield f"- `{param.arg_name}`: {_joined(param.description)}"
    for attribute, value in vars(kind).items():
        if isinstance(value, property):
            yield f"- `{attribute}`: {_told(value)}"
        elif inspect.isfunction(value) and not attribute.startswith("_"):
            arguments = ", ".join(list(inspect.signature(value).parameters)[1:])
            yield f"- `{attribute}({arguments})`: {_told(value)}"
    yield ""


def _summary(described: Docstring) -> Iterator[str]:
    for text in (described.short_description, described.long_description):
        if text:
            yield from (_joined(text), "")


def _told(member: Any) -> str:
    summary = parse(member.__doc__ or "").short_description
    return _joined(summary)


def _joined(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
