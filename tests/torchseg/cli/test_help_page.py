from __future__ import annotations

import importlib
import shlex
from pathlib import Path
from typing import Literal

import pytest

from torchseg.__main__ import COMMANDS, main
from torchseg.cli.command import run_command
from torchseg.cli.help_page import examples_of, group_titles, placeholder, with_default
from torchseg.config import DistillConfig, ReportConfig, SearchConfig
from torchseg.config.base import MODEL_NAMES


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, "N"),
        (float | None, "X"),
        (Path | None, "PATH"),
        (int | Literal["auto"], "N|auto"),
        (Literal["auto", "cpu"], "auto|cpu"),
        (Literal["a", "b"] | None, "a|b"),
    ],
)
def test_a_placeholder_says_what_to_write(kind, text):
    assert placeholder(kind) == text


def test_a_default_is_named_once_and_only_if_it_is_something():
    assert with_default("How many.", 8) == "How many. Default: 8."
    assert with_default("How many.", 0) == "How many. Default: 0."
    assert with_default("How many. Default: enough.", 0) == "How many. Default: enough."
    assert with_default("Loud.", default=False) == "Loud."
    assert with_default("Where.", None) == "Where."


def test_flags_are_grouped_by_subject_with_the_command_s_own_first():
    titles = group_titles(DistillConfig)
    first, *_, last = dict.fromkeys(titles.values())
    assert first == titles["teacher"] == "Flags of this command"
    assert titles["image_size"] == "Flags that select the data"
    assert last == titles["seed"] == "Flags of every command"


def test_the_page_has_an_example_and_no_types(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["/env/bin/torchseg", "report"])
    with pytest.raises(SystemExit, match="0"):
        run_command(ReportConfig, lambda _: 0, ["--help"])
    page = capsys.readouterr().out
    assert page.startswith("usage: torchseg report RUN [FLAGS]\n")
    assert page.endswith("Example:\n  torchseg report runs/mine --target browser\n")
    assert "type:" not in page
    assert "--target phone|server-cpu|browser|smallest" in page


def test_the_flags_that_a_command_shares_with_another_are_said_to_be_those_of_the_other():
    titles = group_titles(SearchConfig)
    assert titles["trials"] == "Flags of this command"
    assert titles["teacher"] == "Flags of the command distill"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example_that_it_accepts(command):
    script = importlib.import_module(f"scripts.{command}")
    (config_class,) = (each for name, each in vars(script).items() if name.endswith("Config"))
    (example,) = examples_of(config_class)
    accepted = []
    assert run_command(config_class, lambda config: accepted.append(config) or 0, shlex.split(example)) == 0
    assert len(accepted) == 1


def test_print_config_says_what_it_is_for(capsys):
    with pytest.raises(SystemExit, match="0"):
        run_command(ReportConfig, lambda _: 0, ["--help"])
    page = " ".join(capsys.readouterr().out.split())
    assert "Print all flags with their values as YAML, which --config reads" in page


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("torchseg ")
    with pytest.raises(SystemExit, match="0"):
        run_command(ReportConfig, lambda _: 0, ["--version"])
    assert "torchseg " in capsys.readouterr().out


def test_help_lists_the_networks_that_there_are():
    from torchseg.models import MODELS

    assert sorted(MODEL_NAMES) == sorted(MODELS)
