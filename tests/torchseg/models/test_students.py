from __future__ import annotations

import pytest

from torchseg.models import (
    STUDENTS,
    arguments_of,
    build_model,
    count_parameters,
    format_arguments,
    multiply_adds,
    parse_arguments,
)
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=32, width=32, classes=("a", "b", "c", "d", "e"))


@pytest.mark.slow
def test_the_family_is_in_the_order_of_multiply_adds_and_none_is_there_twice():
    costs = []
    for student in STUDENTS.values():
        network = build_model(student.model, student.arguments, SPEC)
        costs.append((multiply_adds(network, SPEC), count_parameters(network)))
    assert [work for work, _ in costs] == sorted(work for work, _ in costs)
    assert len(set(costs)) == len(costs)


@pytest.mark.parametrize("name", STUDENTS)
def test_the_arguments_of_a_student_can_be_given_as_a_flag(name):
    student = STUDENTS[name]
    assert parse_arguments(format_arguments(student.arguments)) == student.arguments
    assert set(student.arguments) <= set(arguments_of(student.model))


def test_arguments_of_every_kind_survive_the_flag():
    arguments = {"encoder": "lite0", "widths": [32, 16], "batch_norm": False, "dropout": 0.25}
    assert parse_arguments(format_arguments(arguments)) == arguments
    assert format_arguments({}) == ""
