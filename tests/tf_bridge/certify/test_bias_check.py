"""Biases of every stored type against those of a network."""

from __future__ import annotations

import numpy as np
import pytest

from tf_bridge.certify.bias_check import BiasCheck, bias_failure
from tf_bridge.certify.network_layers import Kernel
from torchseg.modelfile.biases import NO_BIAS, StoredBias

BIAS = np.array([0.5, -0.25, 0.0, 3.0])
STEPS = np.array([1e-3, 2e-4, 1.0, 1e-3])


def kernel(bias: np.ndarray = BIAS, *, plain: np.ndarray | None = None, reach: float = 1.0) -> Kernel:
    weights = np.ones((len(bias), 2, 3, 3), np.float32)
    return Kernel(
        layer="stem.0",
        parameter="stem.0.weight",
        values=weights,
        plain=weights,
        bias=bias,
        plain_bias=np.zeros(len(bias)) if plain is None else plain,
        bias_reach=np.full(len(bias), reach),
        factor=np.ones(len(bias)),
    )


def integers(bias: np.ndarray = BIAS, *, steps: np.ndarray = STEPS) -> StoredBias:
    return StoredBias(np.round(bias / steps), "int32", steps, steps)


def floats(values: np.ndarray, dtype: str = "float32") -> StoredBias:
    return StoredBias(values.astype(dtype).astype(np.float64), dtype)


HONEST = {
    "int32": integers(),
    "float32": floats(BIAS),
    "float16": floats(BIAS, "float16"),
    "uint8": StoredBias(np.round(BIAS / (3.25 / 255)), "uint8", np.array([3.25 / 255])),
}


@pytest.mark.parametrize("dtype", HONEST)
def test_a_bias_that_is_rounded_once_holds(dtype: str):
    assert bias_failure(kernel(), [HONEST[dtype]], folded=True) == ""


@pytest.mark.parametrize("dtype", HONEST)
@pytest.mark.parametrize("channel", [0, 1, 3])
def test_a_change_of_two_steps_or_a_hundredth_is_found_and_its_channel_named(dtype: str, channel: int):
    codes = HONEST[dtype].codes.copy()
    codes[channel] *= 1.01
    if HONEST[dtype].scale.size:
        codes[channel] = HONEST[dtype].codes[channel] + 2
    said = bias_failure(kernel(), [HONEST[dtype]._replace(codes=codes)], folded=True)
    assert f"bias of layer `stem.0` is not the network's: channel {channel} is off by" in said


def test_several_wrong_channels_are_counted():
    wrong = integers()._replace(codes=integers().codes + np.array([5, 0, 0, 9]))
    said = bias_failure(kernel(), [wrong], folded=True)
    assert "channel 3 is off by 9 steps; expected at most 0.52, and 1 more is wrong" in said


def test_a_scale_that_is_not_that_of_input_times_weights_is_found():
    wrong = integers()._replace(scale=STEPS * np.array([1, 1.01, 1, 1]))
    assert "has a scale that is not that of the layer's input" in bias_failure(kernel(), [wrong], folded=True)


def test_a_bias_that_is_left_out_is_found_and_a_layer_without_one_needs_none():
    assert "channel 3 is off by 1 of its size" in bias_failure(kernel(), [NO_BIAS], folded=True)
    assert bias_failure(kernel(), [NO_BIAS], folded=False) == ""


def test_a_bias_of_another_length_is_found():
    assert "has 3 values; expected 4" in bias_failure(kernel(), [floats(BIAS[:3])], folded=True)


def test_what_folding_batch_norm_in_float32_costs_is_allowed():
    """A bias that two large numbers cancel out to, in channels whose weights are so small that steps are finer."""
    steps = np.full(4, 1e-9)
    folded = (BIAS.astype(np.float32) + np.float32(1000)) - np.float32(1000)
    held = integers(folded.astype(np.float64) + 1e-4, steps=steps)
    assert bias_failure(kernel(reach=1000.0), [held], folded=True) == ""
    assert "channel" in bias_failure(kernel(reach=1.0), [held], folded=True)


def test_the_groups_of_a_transposed_convolution_have_biases_of_their_own():
    halves = [integers(BIAS[:2], steps=STEPS[:2]), integers(BIAS[2:], steps=STEPS[2:])]
    assert bias_failure(kernel(), halves, folded=True) == ""
    assert "is not the network's: channel 3" in bias_failure(kernel(), halves[::-1], folded=True)


def test_layers_that_share_weights_have_to_find_a_bias_each():
    first, second = kernel(), kernel(BIAS + 1)
    held = [[integers()], [integers(BIAS + 1)]]

    def failures(operators: list[list[StoredBias]]) -> list[str]:
        check = BiasCheck()
        for each in (first, second):
            check.add(each, operators, folded=[True])
        return check.failures()

    assert failures(held) == []
    assert failures(held[::-1]) == []
    assert len(failures([held[0], held[0]])) == 1
    assert len(failures([*held, [integers(BIAS + 2)]])) == 1
