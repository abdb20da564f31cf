"""What a user reads who gives a flag a wrong value: which flag, what came, what it takes."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from torchseg.__main__ import COMMANDS
from torchseg.cli.command import config_from, config_of, run_command
from torchseg.config import PredictConfig, ScoreConfig, TrainConfig

WORDS_OF_THE_PARSER = ("Parser key", "<class", "typing", "Literal", "Union", "explicit argument", "\n")


def config_class_of(command):
    """The config class that a script imports, which is its only one."""
    module = importlib.import_module(f"scripts.{command}")
    (found,) = (each for name, each in vars(module).items() if name.endswith("Config"))
    return found


def message_of(config_class, argv, capsys):
    """The one line that the command prints for these arguments, without `error: `."""
    assert run_command(config_class, lambda _: 0, argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith("\n")
    return err.removeprefix("error: ").removesuffix("\n")


def refused_as(config_class, flags):
    with pytest.raises(ValueError, match=r"\w") as refused:
        config_of(config_class, flags)
    return str(refused.value)


def numbers_and_choices(config_class):
    """Flags whose type is not text, path or switch: of these the parser itself refuses values."""
    types = get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        free = {bool, str, Path} & {types[field.name], *get_args(types[field.name])}
        if not free and not {"positional", "nargs"} & {*field.metadata}:
            yield field.name


@pytest.mark.parametrize("value", ["nope", "[1, 2]", ""])
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_number_and_choice_says_what_came_and_what_it_takes(command, value):
    config_class = config_class_of(command)
    for name in numbers_and_choices(config_class):
        said = refused_as(config_class, {name: value})
        assert said.startswith(f"{name} is {repr(value) if value else 'empty'}"), said
        assert any(word in said for word in ("; give ", "; choose from ")), said
        assert not any(word in said for word in WORDS_OF_THE_PARSER), said


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_switch_says_that_it_takes_no_value(command, capsys):
    config_class = config_class_of(command)
    types = get_type_hints(config_class)
    switches = [name for name in types if types[name] is bool]
    for name in switches[:1]:
        said = message_of(config_class, [f"--{name}=yes"], capsys)
        assert said == f"--{name} takes no value, and 'yes' came; give --{name} alone, or leave it out"


@pytest.mark.parametrize(
    ("config_class", "flags", "message"),
    [
        (TrainConfig, {"seed": "abc"}, "seed is 'abc'; give a whole number"),
        (TrainConfig, {"threads": "1e999"}, "threads is 1e999; give a whole number or auto"),
        (TrainConfig, {"crop": "rarer"}, "crop is 'rarer' (did you mean 'rare'?); choose from random, rare"),
        (TrainConfig, {"learning_rate": "abc"}, "learning_rate is 'abc'; give a number or null"),
        (TrainConfig, {"micro_batches": "3"}, "micro_batches is 3; choose from 1, 2, auto"),
        (ScoreConfig, {"on_split": "val"}, "on_split is 'val'; choose from train, validation, test"),
        (ScoreConfig, {"jobs": "many"}, "jobs is 'many'; give a whole number or auto"),
    ],
)
def test_a_wrong_value_is_one_sentence(config_class, flags, message):
    assert refused_as(config_class, flags) == message


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--seed"], "--seed came without a value; give a whole number"),
        (["--root"], "--root came without a value; give a path"),
        (["stray"], "'stray' belongs to no flag; --help lists what the command takes"),
        (["--config"], "--config came without a value; --help says which"),
        (["--seed=" + "9" * 99 + "x"], "seed is '" + "9" * 76 + "...; give a whole number"),
    ],
)
def test_wrong_arguments_are_one_line(argv, message, capsys):
    assert message_of(TrainConfig, argv, capsys) == message


def test_missing_arguments_bring_the_example(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/env/bin/torchseg", "predict"])
    said = message_of(PredictConfig, ["net.onnx"], capsys)
    assert said.startswith("IMAGES is missing; an example: torchseg predict runs/mine/artifacts/")
    assert message_of(PredictConfig, [], capsys).startswith("MODEL and IMAGES are missing; an example: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: abc", "seed is 'abc'; give a whole number"),
        ("crop: 3", "crop is 3; choose from random, rare"),
        ("download: maybe", "download is 'maybe'; give true or false"),
        ("image_size: [1, 2]", "image_size is [1, 2]; expected a text, so put it in quotes"),
        ("epoch: 3", "there is no flag epoch (did you mean 'epochs'?); --help lists all"),
    ],
)
def test_a_wrong_value_in_a_file_of_flags_is_told_alike(text, message, capsys):
    Path("flags.yaml").write_text(f"{text}\n", encoding="utf-8")
    assert message_of(TrainConfig, ["--config", "flags.yaml"], capsys) == message


def test_a_wrong_value_in_python_is_told_alike():
    with pytest.raises(ValueError, match=r"^epochs is 'three'; give a whole number$"):
        config_from(TrainConfig, {"epochs": "three"})
    with pytest.raises(ValueError, match=r"^download is 'yes'; give true or false$"):
        config_from(TrainConfig, {"download": "yes"})
