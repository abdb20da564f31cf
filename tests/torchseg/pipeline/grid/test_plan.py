from __future__ import annotations

from pathlib import Path

import pytest

from torchseg.config import MeasureConfig
from torchseg.pipeline.grid.plan import expand, name_of
from torchseg.pipeline.grid.recipe import Factor, Level, Recipe, read_recipe

RECIPES = Path(__file__).parents[4] / "recipes"


def factor(name, **levels):
    return Factor(name=name, levels=tuple(Level(name=level, flags=flags) for level, flags in levels.items()))


def recipe(*factors, **base):
    return Recipe(base=base, export={}, factors=factors, measure=MeasureConfig())


EPOCHS = factor("epochs", short={"epochs": 1}, long={"epochs": 2})
FILES = factor("kind", original={"file": "torch"}, small={"file": "int8.tflite"})


def test_every_combination_is_a_cell_and_files_share_their_training():
    plan = expand(recipe(EPOCHS, FILES, data="scenes"), seed=3, root=Path("pictures"))
    assert [(cell.levels["epochs"], cell.levels["kind"], cell.file) for cell in plan.cells] == [
        ("short", "original", "torch"),
        ("short", "small", "int8.tflite"),
        ("long", "original", "torch"),
        ("long", "small", "int8.tflite"),
    ]
    assert [training.name for training in plan.trainings] == ["epochs=short", "epochs=long"]
    assert plan.cells[0].training is plan.cells[1].training
    assert plan.files(plan.trainings[0]) == ["torch", "int8.tflite"]
    assert plan.training_factors() == ["epochs"]
    config = plan.trainings[1].config
    assert (config.epochs, config.seed, config.root) == (2, 3, Path("pictures"))


def test_trainings_that_come_out_alike_are_one():
    plan = expand(recipe(EPOCHS, factor("pace", slow={"learning_rate": 0.001}, same={"learning_rate": 1e-3})))
    assert len(plan.cells) == 4
    assert len(plan.trainings) == 2


def test_arguments_of_several_factors_come_together():
    width = factor("width", **{"8": {"model_arguments.base_width": 8}})
    norm = factor("norm", without={"model_arguments.batch_norm": False})
    (training,) = expand(recipe(width, norm, model_arguments="depth=2")).trainings
    assert training.flags["model_arguments"] == "depth=2,base_width=8,batch_norm=false"
    assert training.name == "width=8_norm=without"


def test_a_factor_of_seeds_goes_before_the_seed_of_the_command():
    plan = expand(recipe(factor("seed", **{"1": {"seed": 1}, "2": {"seed": 2}})), seed=7)
    assert [training.config.seed for training in plan.trainings] == [1, 2]


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([factor("epochs", many={"epochs": "many"})], "epochs=many: epochs is 'many'; give a whole number"),
        ([factor("batch", one={"batch_size": 1})], "batch=one: batch_size is 1; batch norm needs at least 2"),
        ([EPOCHS, factor("length", one={"epochs": 1})], "factors epochs and length both set epochs"),
        ([factor("a", **{"x y": {"epochs": 1}, "x-y": {"epochs": 2}})], "would share a folder; rename a level"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(factors, message):
    with pytest.raises(ValueError, match=message):
        expand(recipe(*factors))


def test_names_are_fit_for_a_folder():
    assert name_of({"epochs": "50", "net": "smp:Unet/x"}) == "epochs=50_net=smp-Unet-x"


def test_both_unet12_recipes_mean_the_same_trainings():
    plans = [expand(read_recipe(RECIPES / f"{name}.yaml")) for name in ("unet12", "unet12-corrected")]
    assert plans[0].trainings == plans[1].trainings
    assert (len(plans[0].trainings), len(plans[0].cells)) == (12, 48)
