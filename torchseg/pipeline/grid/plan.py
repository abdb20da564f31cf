"""Expands a recipe: every combination of levels is a cell, and cells that need the same training share it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torchseg.cli.command import config_of
from torchseg.config import DataConfig, MeasureConfig, TrainConfig
from torchseg.pipeline.grid.recipe import ARGUMENTS, FILE, Factor, Level, Recipe, arguments_of, text_of
from torchseg.pipeline.run.recorded_config import DATA_FIELDS

TRAININGS = "trainings"


@dataclass(frozen=True, kw_only=True)
class Training:
    """One network to train, used by one or more cells.

    Attributes:
        name: of its folder below `trainings/`, made of the levels that change the training.
        levels: names of those levels, by name of their factor.
        flags: of scripts/train.py.
        config: the same flags, parsed; without folder and threads.
    """

    name: str
    levels: Mapping[str, str]
    flags: Mapping[str, str]
    config: TrainConfig


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of levels: a training, and one of its files."""

    levels: Mapping[str, str]
    training: Training
    file: str

    @property
    def name(self) -> str:
        """One line that names all levels."""
        return name_of(self.levels)


@dataclass(frozen=True, kw_only=True)
class GridPlan:
    """Everything that a grid has to do.

    Attributes:
        factors: names of the levels, by name of the factor.
        trainings: each once.
        cells: every combination, in the order of the recipe.
        export: flags of scripts/export.py other than formats and precisions.
        measure: how files are measured.
    """

    factors: Mapping[str, Sequence[str]]
    trainings: Sequence[Training]
    cells: Sequence[Cell]
    export: Mapping[str, str]
    measure: MeasureConfig

    def files(self, training: Training) -> list[str]:
        """The files of a training that cells need, each once."""
        return list(dict.fromkeys(cell.file for cell in self.cells if cell.training is training))

    def training_factors(self) -> list[str]:
        """Names of the factors that change the training."""
        return [name for name in self.factors if any(name in each.levels for each in self.trainings)]


def expand(recipe: Recipe, *, seed: int = 0, root: Path | None = None) -> GridPlan:
    """Combines the levels of all factors.

    Args:
        recipe: what to combine.
        seed: of every training whose seed no factor sets.
        root: the data set's folder, in place of the recipe's.

    Raises:
        ValueError: if a value does not fit its flag, or two factors set the same flag.
    """
    _check_overlaps(recipe.factors)
    base: dict[str, Any] = {"seed": seed} | dict(recipe.base) | ({"root": root} if root else {})
    trainings: dict[TrainConfig, Training] = {}
    cells = []
    for levels in itertools.product(*(factor.levels for factor in recipe.factors)):
        training, file = _training(base, recipe.factors, levels)
        training = trainings.setdefault(training.config, training)
        named = {factor.name: level.name for factor, level in zip(recipe.factors, levels, strict=True)}
        cells.append(Cell(levels=named, training=training, file=file))
    _check_names(list(trainings.values()))
    return GridPlan(
        factors={factor.name: [level.name for level in factor.levels] for factor in recipe.factors},
        trainings=list(trainings.values()),
        cells=cells,
        export=recipe.export,
        measure=recipe.measure,
    )


def name_of(levels: Mapping[str, str]) -> str:
    """`epochs=50_filters=32`; valid as a folder's name."""
    return "_".join(re.sub(r"[^\w.+=-]+", "-", f"{factor}={level}") for factor, level in levels.items())


def data_flags(config: DataConfig) -> tuple[object, ...]:
    """The flags that select a training's images: trainings with equal flags can share them."""
    return tuple(getattr(config, name) for name in DATA_FIELDS)


def _training(base: Mapping[str, Any], factors: Sequence[Factor], levels: Sequence[Level]) -> tuple[Training, str]:
    merged = dict(base)
    for level in levels:
        merged |= level.flags
    file = str(merged.pop(FILE, "torch"))
    plain = {name: value for name, value in merged.items() if value is not None and not name.startswith(ARGUMENTS)}
    flags = {name: text_of(value) for name, value in plain.items()}
    if arguments := arguments_of(merged):
        flags[ARGUMENTS] = ",".join(f"{name}={text_of(value)}" for name, value in arguments.items())
    shaping = {factor.name: level.name for factor, level in zip(factors, levels, strict=True) if factor.trains}
    try:
        config = replace(config_of(TrainConfig, flags), threads=0)
    except ValueError as error:
        raise ValueError(f"{name_of(shaping) or 'base'}: {error}") from error
    return Training(name=name_of(shaping) or "base", levels=shaping, flags=flags, config=config), file


def _check_overlaps(factors: Sequence[Factor]) -> None:
    """Raises ValueError if two factors set the same flag, because the later one would silently win."""
    owner: dict[str, str] = {}
    for factor in factors:
        for flag in {flag for level in factor.levels for flag in level.flags}:
            if owner.setdefault(flag, factor.name) != factor.name:
                raise ValueError(f"factors {owner[flag]} and {factor.name} both set {flag}; let one of them do it")


def _check_names(trainings: Sequence[Training]) -> None:
    folders: dict[str, Training] = {}
    for training in trainings:
        other = folders.setdefault(training.name.lower(), training)
        if other is not training:
            raise ValueError(f"{dict(other.levels)} and {dict(training.levels)} would share a folder; rename a level")
