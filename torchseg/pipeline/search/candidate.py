"""Turns the parameters of a trial into its configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from torchseg.config import DistillConfig, SearchConfig
from torchseg.config.search import Value
from torchseg.losses import TERMS, parse_terms
from torchseg.models import arguments_of, defaults_of, parse_arguments
from torchseg.pipeline.stages.training import check_network, check_training
from torchseg.spec import ImageSpec, nearest

FLAGS = ("learning_rate", "temperature", "alpha", "schedule")
CLASS_WEIGHT = "class_weight_"  # and the number of the class, from 1

AnyDistill = TypeVar("AnyDistill", bound=DistillConfig)


def candidate(config: AnyDistill, parameters: Mapping[str, Value]) -> AnyDistill:
    """The configuration with these parameters in place of its own.

    Args:
        config: the configuration as given.
        parameters: values by name; a name is one of `FLAGS`, a term of the loss (the value is its weight),
            `class_weight_1` and so on for the weight of a class, or an argument of the student's builder.

    Raises:
        ValueError: if a value is not valid for its flag.
    """
    flags = {name: value for name, value in parameters.items() if name in FLAGS}
    weights = {name: float(value) for name, value in parameters.items() if name in TERMS}
    of_classes = {name: float(value) for name, value in parameters.items() if name.startswith(CLASS_WEIGHT)}
    arguments = {name: value for name, value in parameters.items() if name not in {*flags, *weights, *of_classes}}
    changes: dict[str, object] = dict(flags)
    if of_classes:
        changes["class_weights"] = ",".join(map(_plain, (_class_weights(config) | of_classes).values()))
    if weights:
        changes["loss"] = "+".join(_term(*term) for term in (parse_terms(config.loss) | weights).items())
    if arguments:
        both = parse_arguments(config.student_arguments) | arguments
        changes["student_arguments"] = ",".join(f"{name}={_plain(value)}" for name, value in both.items())
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def check_space(config: SearchConfig, spec: ImageSpec) -> None:
    """Checks, before anything is trained, that trials can use every name and both ends of every range in the space.

    Raises:
        ValueError: naming the valid choices, or what is wrong with the value.
    """
    known = [*FLAGS, *TERMS, *_class_weights(config), *arguments_of(config.student)]
    for name, values in config.ranges.items():
        if name.startswith(CLASS_WEIGHT) and not _class_weights(config):
            raise ValueError(
                f"space names {name}, but class_weights is '{config.class_weights}': give a number for each of the "
                f"{spec.num_classes} classes, where the search begins"
            )
        if name not in known:
            raise ValueError(f"space names {name}{nearest(name, known)}; there are {', '.join(known)}")
        for value in values.bounds:
            try:
                one = candidate(config, {name: value})
                check_training(one, spec)
                check_network(one.student, spec, arguments=parse_arguments(one.student_arguments))
            except (ValueError, TypeError) as error:
                raise ValueError(f"space lets {name} be {value!r}, which no trial can use: {error}") from error


def as_given(config: DistillConfig, names: Mapping[str, object]) -> dict[str, Value]:
    """The values of these parameters in the configuration; parameters that it does not have are left out."""
    terms, arguments = parse_terms(config.loss), parse_arguments(config.student_arguments)
    own: dict[str, Value] = {name: getattr(config, name) for name in FLAGS} | {"learning_rate": config.rate} | terms
    own |= {**defaults_of(config.student), **arguments, **_class_weights(config)}
    return {name: own[name] for name in names if name in own}


def given_trial(config: SearchConfig) -> dict[str, Value]:
    """The configuration as given, as parameters of the space; empty if it is outside the space."""
    values = as_given(config, config.ranges)
    held = all(name in values and space.holds(values[name]) for name, space in config.ranges.items())
    return values if held else {}


def _class_weights(config: DistillConfig) -> dict[str, float]:
    """The weight of each class as a parameter; empty if the flags do not give them as numbers."""
    try:
        weights = [float(part) for part in config.class_weights.split(",")]
    except ValueError:
        return {}
    return {f"{CLASS_WEIGHT}{number}": weight for number, weight in enumerate(weights, start=1)}


def _term(name: str, weight: float) -> str:
    return name if weight == 1 else f"{_plain(weight)}*{name}"


def _plain(value: object) -> str:
    """A value as `parse_arguments` reads it: it would read 1e-05 as a string."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return np.format_float_positional(value, trim="0")
    return str(value)
