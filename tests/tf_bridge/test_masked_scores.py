from __future__ import annotations

import pytest

from tf_bridge.masked_scores import Operation, mask_constants, masked_scores

RANGES = {"image": (-1.0, 1.0), "scores": (-5.0, 5.0), "sum": (-1e4, 5.0), "moved": (-1e4, 5.0), "weights": (0.0, 1.0)}
MASKED = [
    Operation("product", "MatMul", ("image", "key"), ("scores",)),
    Operation("add", "Add", ("scores", "mask"), ("sum",)),
    Operation("move", "Reshape", ("sum", "shape"), ("moved",)),
    Operation("softmax", "Softmax", ("moved",), ("weights",)),
    Operation("attend", "MatMul", ("weights", "image"), ("result",)),
]


def test_what_lies_between_mask_and_softmax_is_found():
    assert masked_scores(MASKED, RANGES) == {"add", "move", "softmax"}
    assert mask_constants(MASKED, RANGES) == {"mask"}


@pytest.mark.parametrize("kind", ["Where", "SELECT_V2", "SUB"])
def test_masks_are_found_in_both_formats(kind):
    masking = Operation("add", kind, ("truth", "scores", "mask"), ("sum",))
    assert masked_scores([MASKED[0], masking, *MASKED[2:]], RANGES) == {"add", "move", "softmax"}


def test_infinite_masks_are_found():
    assert masked_scores(MASKED, RANGES | {"sum": (float("-inf"), 5.0)}) == {"add", "move", "softmax"}


def test_biases_that_widen_the_scores_at_most_twice_are_no_mask():
    assert masked_scores(MASKED, RANGES | {"sum": (-12.0, 8.0)}) == set()


def test_a_sum_of_two_computed_values_is_no_mask():
    assert masked_scores(MASKED, RANGES | {"mask": (-1e4, 0.0)}) == set()


def test_a_sum_that_something_else_reads_as_well_is_no_mask():
    other = Operation("other", "Conv", ("moved", "kernel"), ("features",))
    assert masked_scores([*MASKED, other], RANGES) == set()
    assert mask_constants([*MASKED, other], RANGES) == set()


def test_a_constant_that_something_else_reads_as_well_is_no_mask():
    other = Operation("pad", "Pad", ("image", "mask"), ("padded",))
    assert mask_constants([*MASKED, other], RANGES) == set()
