from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from torchseg.pipeline.grid.recipe import arguments_of, read_recipe, text_of

RECIPES = Path(__file__).parents[4] / "recipes"
SMALL = {"base": {"data": "scenes"}, "factors": {"epochs": [1, 2]}}


def recipe(tmp_path, changes=(), **parts):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL | parts))
    return read_recipe(path, changes)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([50, 100], {"50": {"epochs": 50}, "100": {"epochs": 100}}),
        ({"model_arguments.depth": [2, 3]}, {"2": {"model_arguments.depth": 2}, "3": {"model_arguments.depth": 3}}),
        ({"short": {"epochs": 1, "batch_size": 4}}, {"short": {"epochs": 1, "batch_size": 4}}),
        ({"file": ["torch", "int8.tflite"]}, {"torch": {"file": "torch"}, "int8.tflite": {"file": "int8.tflite"}}),
        ({True: {"epochs": 1}, "no": {"epochs": 2}}, {"true": {"epochs": 1}, "no": {"epochs": 2}}),
    ],
)
def test_levels_are_a_list_of_the_flag_itself_or_of_another_or_have_names(levels, expected, tmp_path):
    (factor,) = recipe(tmp_path, factors={"epochs": levels}).factors
    assert {level.name: dict(level.flags) for level in factor.levels} == expected


def test_a_factor_of_files_alone_trains_nothing(tmp_path):
    factors = recipe(tmp_path, factors={"epochs": [1, 2], "kind": {"file": ["torch", "fp32.onnx"]}}).factors
    assert [factor.trains for factor in factors] == [True, False]


def test_a_recipe_can_be_changed_from_outside(tmp_path):
    changes = ["data=camvid", "factors.epochs=[3, 4]", "measure.pictures=7", "model_arguments.depth=2", "max_drop=0.5"]
    changed = recipe(tmp_path, changes)
    assert changed.base == {"data": "camvid", "model_arguments.depth": 2}
    assert changed.export == {"max_drop": "0.5"}
    assert [level.name for level in changed.factors[0].levels] == ["3", "4"]
    assert changed.measure.pictures == 7
    assert recipe(tmp_path, ["data=null"]).base == {}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"bose": {}}, r"has a part 'bose' \(did you mean 'base'\?\); there are base, factors, measure"),
        ({"base": 3}, "base is 3; give NAME: VALUE lines"),
        ({"base": {"epoch": 3}}, r"base sets 'epoch', which is not a flag of a grid \(did you mean 'epochs'\?\)"),
        ({"base": {"out": "x"}}, "base sets out; --out names the grid's folder"),
        ({"base": {"precisions": "int8"}}, "make the files a factor"),
        ({"base": {"seed": 1}}, "belongs on the command line, or make it a factor"),
        ({"base": {"end_to_end": True}}, "is a flag of export that a grid does not take"),
        ({"factors": {}}, "varies nothing; give factors with levels"),
        ({"factors": {"epochs": []}}, "factor epochs has no level"),
        ({"factors": {"epochs": [1, 1]}}, "factor epochs has a level twice: 1, 1"),
        ({"factors": {"epochs": 3}}, "factor epochs is 3; give "),
        ({"factors": {"speed": ["low", "high"]}}, "level low of factor speed sets 'speed', which is not a flag"),
        ({"factors": {"drop": {"max_drop": [1, 2]}}}, "which all files of a grid share; set it in base"),
        ({"factors": {"file": ["torch", "int8.tflit"]}}, r"names the file 'int8.tflit' \(did you mean 'int8.tflite'"),
        ({"measure": {"picture": 3}}, r"measure sets 'picture' \(did you mean 'pictures'\?\)"),
        ({"measure": {"pictures": 0}}, "pictures is 0 and threads 1; each must be at least 1"),
        ({"measure": {"pictures": "many"}}, "pictures is 'many'; give a whole number"),
    ],
)
def test_what_a_recipe_must_not_say_is_refused(parts, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        recipe(tmp_path, **parts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs", "--set has 'epochs'; give NAME=VALUE"),
        ("factors.epoch=[1]", r"names the factor 'epoch' \(did you mean 'epochs'\?\); there are epochs"),
        ("data=[", "--set data is not YAML"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        recipe(tmp_path, [change])


def test_a_recipe_must_be_there_and_be_a_mapping(tmp_path):
    with pytest.raises(ValueError, match=r"there is no recipe gone\.yaml"):
        read_recipe(Path("gone.yaml"))
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ValueError, match=r"list.yaml holds no mapping; give base, factors, measure"):
        read_recipe(tmp_path / "list.yaml")


def test_arguments_of_a_network_come_together():
    flags = {"model_arguments": "depth=2,layers=plain", "model_arguments.depth": 3, "epochs": 1}
    assert arguments_of(flags) == {"depth": 3, "layers": "plain"}
    assert arguments_of({"model_arguments": {"depth": 2}}) == {"depth": 2}


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (3, "3"), ([64, 32], "[64,32]"), ("0-1", "0-1")])
def test_values_are_written_as_flags(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize("name", ["unet12", "unet12-corrected"])
def test_the_published_grid_is_twelve_networks_in_four_files(name):
    factors = {
        factor.name: [level.name for level in factor.levels] for factor in read_recipe(RECIPES / f"{name}.yaml").factors
    }
    assert factors == {
        "epochs": ["50", "100"],
        "filters": ["32", "64", "128"],
        "batch_norm": ["with", "without"],
        "quantization": ["no", "fp32", "fp16", "int8"],
    }
