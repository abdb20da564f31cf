"""Input that takes all memory, crashes a parser or waits for ever is one message and exit code 2."""

from __future__ import annotations

import os
import re

import pytest
import yaml

from scripts import predict, train
from torchseg.config import CommonConfig, DataConfig
from torchseg.data.images.io import find_pictures
from torchseg.losses import class_weights
from torchseg.pipeline.grid.recipe import read_recipe
from torchseg.pipeline.run.recorded_config import recorded_config
from torchseg.record.yaml_text import plain_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
NESTED = "[" * 50_000


@pytest.mark.parametrize("text", [BOMB, NESTED, "a: " + NESTED, "{a: " * 50_000, "x" * 2**19])
def test_a_file_of_flags_without_bounds_is_refused(text, tmp_path, refusal):
    (tmp_path / "flags.yaml").write_text(text)
    assert train.main(["--config", "flags.yaml"]) == 2
    assert "flags.yaml is not a file of flags: it " in refusal()


@pytest.mark.parametrize("flag", ["--threads", "--cache_gb", "--model_arguments", "--config", "--image_size"])
@pytest.mark.parametrize("text", [BOMB.replace("\n", ", "), NESTED, "[" * 10_000])
def test_a_flag_without_bounds_is_refused(flag, text, capsys):
    try:
        code = train.main([flag, text])
    except SystemExit as stopped:  # raised by the flag parser
        code = stopped.code
    assert code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("text", [BOMB, NESTED])
def test_a_recipe_and_a_record_without_bounds_are_refused(text, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"config.yaml is not YAML: it "):
        read_recipe(tmp_path / "config.yaml")
    with pytest.raises(ValueError, match=r"config.yaml is damaged: it .*; give --data and --root instead"):
        recorded_config(tmp_path)


def test_aliases_are_named():
    with pytest.raises(yaml.YAMLError, match=r"it has the alias \*a; write it out"):
        plain_yaml("one: &a [1]\ntwo: *a\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: 7\n", "data is 7, expected a text"),
        ("image_size: [1]\n", "image_size is [1], expected a text"),
        ("- a\n", "it is ['a'], expected an object"),
        ("seed: soon\n", "seed is 'soon', expected a whole number"),
        ("seed: -1\n", "seed is -1; give a whole number from 0"),
        ("threads: many\n", "threads is 'many', expected a whole number"),
        ("a: [\n", "while parsing"),
    ],
)
def test_a_recorded_flag_of_the_wrong_kind_is_named(text, expected, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"config.yaml is damaged: .*{re.escape(expected)}"):
        recorded_config(tmp_path)


@pytest.mark.parametrize(
    ("config", "values", "expected"),
    [
        (CommonConfig, {"threads": 100_000}, "threads is 100000; give 1 to"),
        (CommonConfig, {"seed": 2**70}, f"seed is {2**70}; give a whole number"),
        (DataConfig, {"image_size": "100000"}, "image_size is '100000'; give at most 8192 pixels a side"),
        (DataConfig, {"image_size": "9" * 5000}, "give N or H,W in pixels"),
    ],
)
def test_numbers_have_bounds(config, values, expected):
    with pytest.raises(ValueError, match=re.escape(expected)):
        config(**values)


@pytest.mark.parametrize("text", ["nan,1", "1,inf", "-1,1", "0,1"])
def test_class_weights_that_are_no_weights_are_refused(text):
    with pytest.raises(ValueError, match=r"class_weights is .*; give median_frequency, or 2 positive numbers"):
        class_weights(text, ("a", "b"), frequencies={})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe of POSIX")
def test_a_pipe_among_the_images_is_refused(tmp_path, refusal):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a.png is a pipe or a device; expected a plain file"):
        find_pictures(tmp_path)
    assert predict.main(["model.onnx", "a.png"]) == 2
    assert "a.png is a pipe or a device" in refusal()
