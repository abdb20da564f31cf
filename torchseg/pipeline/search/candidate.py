"""From the parameters of a trial to the configuration that it stands for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from torchseg.config import DistillConfig, SearchConfig
from torchseg.config.search import Value
from torchseg.losses import TERMS, parse_terms
from torchseg.models import arguments_of, defaults_of, parse_arguments
from torchseg.pipeline.stages.training import check_loss, check_network
from torchseg.spec import ImageSpec, nearest

FLAGS = ("learning_rate", "temperature", "alpha", "schedule")

AnyDistill = TypeVar("AnyDistill", bound=DistillConfig)


def candidate(config: AnyDistill, parameters: Mapping[str, Value]) -> AnyDistill:
    """The configuration with these parameters in place of its own.

    Args:
        config: where the search begins.
        parameters: by name: one of `FLAGS`, a term of the loss, or an argument of the student's builder.

    Raises:
        ValueError: if a value is none that its flag may have.
    """
    flags = {name: value for name, value in parameters.items() if name in FLAGS}
    weights = {name: float(value) for name, value in parameters.items() if name in TERMS}
    arguments = {name: value for name, value in parameters.items() if name not in {*flags, *weights}}
    changes: dict[str, object] = dict(flags)
    if weights:
        changes["loss"] = "+".join(_term(*term) for term in (parse_terms(config.loss) | weights).items())
    if arguments:
        both = parse_arguments(config.student_arguments) | arguments
        changes["student_arguments"] = ",".join(f"{name}={_plain(value)}" for name, value in both.items())
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def check_space(config: SearchConfig, spec: ImageSpec) -> None:
    """Refuses, before anything is trained, a space with a name or an end that no trial could use.

    Raises:
        ValueError: naming what there is instead, or what is wrong with the value.
    """
    known = [*FLAGS, *TERMS, *arguments_of(config.student)]
    for name, values in config.ranges.items():
        if name not in known:
            raise ValueError(f"space names {name}{nearest(name, known)}; there are {', '.join(known)}")
        for value in values.bounds:
            try:
                one = candidate(config, {name: value})
                check_loss(one, spec)
                check_network(one.student, spec, arguments=parse_arguments(one.student_arguments))
            except (ValueError, TypeError) as error:
                raise ValueError(f"space lets {name} be {value!r}, which no trial can use: {error}") from error


def as_given(config: DistillConfig, names: Mapping[str, object]) -> dict[str, Value]:
    """Values that these parameters have in the configuration; those that it knows nothing of are missing."""
    terms, arguments = parse_terms(config.loss), parse_arguments(config.student_arguments)
    own: dict[str, Value] = {name: getattr(config, name) for name in FLAGS} | terms
    own |= {**defaults_of(config.student), **arguments}
    return {name: own[name] for name in names if name in own}


def given_trial(config: SearchConfig) -> dict[str, Value]:
    """The configuration itself as a trial of its space; empty if the space does not hold it."""
    values = as_given(config, config.ranges)
    held = all(name in values and space.holds(values[name]) for name, space in config.ranges.items())
    return values if held else {}


def _term(name: str, weight: float) -> str:
    return name if weight == 1 else f"{_plain(weight)}*{name}"


def _plain(value: object) -> str:
    """As `parse_arguments` reads it: 1e-05 would come back as a word."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return np.format_float_positional(value, trim="0")
    return str(value)
