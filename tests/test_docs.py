from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

import torchseg.config
from torchseg.__main__ import COMMANDS
from torchseg.cli.flag_names import ALIASES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
OF_EVERY_COMMAND = {"help", "config", "print_config", "trust_code"}
OF_OTHER_PROGRAMS = {"accelerator", "steps"}  # Fabric's launcher, benchmarks/export_matrix.py
TABLE = re.compile(r"<!-- table: .*?<!-- end -->", re.DOTALL)

LINK = re.compile(r"\]\(([^)\s#]*)(#[^)\s]*)?\)")
CALL = re.compile(r"(?:scripts/(\w+)\.py|\btorchseg (?=[a-z])(\w+))([^`\n|]*)")
FLAG = re.compile(r"(?<![\w-])--([a-z]\w*)")


def text_of(page):
    """The page with continued lines joined; code keeps its comments, which name no flags."""
    return page.read_text(encoding="utf-8").replace("\\\n", " ")


def anchors_of(page):
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def broken_links(page):
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue
        file = page.parent / target if target else page
        if not file.exists() or (anchor and anchor[1:] not in anchors_of(file)):
            yield f"{target}{anchor}"


def flags_of(config_class):
    return {field.name for field in dataclasses.fields(config_class)} | OF_EVERY_COMMAND


def config_of(command):
    """The config class that a script imports, which is its only one."""
    module = importlib.import_module(f"scripts.{command}")
    (found,) = (each for name, each in vars(module).items() if name.endswith("Config"))
    return found


def unknown_flags(text):
    for in_scripts, installed, arguments in CALL.findall(text):
        command = in_scripts or installed
        if command in COMMANDS:
            given = FLAG.findall(arguments.split(" #")[0])
            yield from (f"{command} --{flag}" for flag in given if flag not in flags_of(config_of(command)))


def id_of(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=id_of)
def test_every_relative_link_leads_somewhere(page):
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=id_of)
def test_every_script_that_a_page_names_exists(page):
    named = set(re.findall(r"\b((?:scripts|benchmarks|tests|torchseg|tf_bridge)/[\w/]+\.py)\b", text_of(page)))
    assert {name for name in named if not (ROOT / name).is_file()} <= {  # a reader writes these
        "torchseg/models/NAME.py",
        "torchseg/data/datasets/NAME.py",
        "torchseg/harness/runtimes/NAME.py",
        "torchseg/pipeline/search/NAME.py",
        "scripts/NAME.py",
    }


@pytest.mark.parametrize("page", PAGES, ids=id_of)
def test_every_flag_of_a_command_line_is_one_of_that_command(page):
    assert list(unknown_flags(text_of(page))) == []


@pytest.mark.parametrize("page", PAGES, ids=id_of)
def test_every_flag_in_prose_is_one_of_some_command(page):
    configs = [getattr(torchseg.config, name) for name in torchseg.config.__all__ if name.endswith(("Config", "Flags"))]
    known = set().union(*map(flags_of, configs), ALIASES) | OF_OTHER_PROGRAMS
    prose = TABLE.sub("", text_of(page))
    assert {flag for flag in re.findall(r"`--([a-z]\w*)", prose) if flag not in known} == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("    python scripts/distill.py --epochs 2 --baseline", []),
        ("    python scripts/distill.py --out runs/a --twin", ["distill --twin"]),
        ("`torchseg score --explain FILE` and `--twin`", []),
        ("torchseg score runs/scenes --twin  # --against", ["score --twin"]),
    ],
)
def test_the_search_knows_the_flags_of_each_command(text, found):
    assert list(unknown_flags(text)) == found


def test_the_search_sees_a_broken_link(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](gone.md) [b](page.md#one-thing) [c](#other) [d](https://host/x.md)\n")
    assert list(broken_links(page)) == ["gone.md", "#other"]
