"""Compares the biases in a model file with those of its network, channel by channel; needs no images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.network_layers import Kernel
from torchseg.modelfile.biases import StoredBias

# Largest error of a stored bias: of integers in steps, of floats as a share of the bias itself. A bias in 8 bits is the
# constant of an addition, with a grid that need not hold the ends of its range.
LIMITS = {"int32": 0.52, "int8": 1.02, "uint8": 1.02, "float16": 6e-4, "float32": 1e-5}
# Of the numbers that a bias is added up from: batch norm is folded in float32, by each library in its own order.
_FLOAT_NOISE = 2e-6
_HALF_STEP = 2.0**-25  # float16 has equal steps of 2**-24 below its smallest normal number
_SAME_SCALE = 1e-5  # by which the product of two scales may differ in float32, as a share
_LEAST = float(np.finfo(np.float32).tiny)

Numbers = NDArray[np.float64]


class BiasCheck:
    """Collects what the layers of a file add to their products, and says which layers add another bias than theirs.

    Layers of one network may share their weights, and have biases of their own all the same, as behind other batch
    norms. Each bias then has to be that of one of the layers, and each layer has to find its own.
    """

    def __init__(self) -> None:
        self._found: dict[str, list[list[str]]] = {}

    def add(self, kernel: Kernel, operators: Sequence[Sequence[StoredBias]], *, folded: Sequence[bool]) -> None:
        """Compares one layer.

        Args:
            kernel: what the file should hold.
            operators: the bias of each operator with these weights, or one bias per group.
            folded: whether the file has batch norm folded into the layer; both where the weights do not tell.
        """
        said = [[bias_failure(kernel, held, folded=each) for each in folded] for held in operators]
        row = ["" if "" in each else each[0] for each in said]
        self._found.setdefault(kernel.parameter, []).append(row)

    def failures(self) -> list[str]:
        """One sentence per layer with another bias."""
        found = []
        for rows in self._found.values():
            lines = [*rows, *zip(*rows, strict=True)] if len({len(row) for row in rows}) == 1 else rows
            wrong = [line[0] for line in lines if "" not in line]
            found += list(dict.fromkeys(wrong))[:1]
        return found


def bias_failure(kernel: Kernel, held: Sequence[StoredBias], *, folded: bool) -> str:
    """What is wrong with the bias of a layer, as one sentence that names the layer and a channel; empty if it holds.

    Args:
        kernel: what the file should hold.
        held: what it holds: one bias, or one per group of a transposed convolution.
        folded: whether the file has batch norm folded into the layer.
    """
    expected = kernel.bias if folded else kernel.plain_bias
    of = f"bias of layer `{kernel.layer}`"
    if not any(bias.codes.size for bias in held):
        held = [StoredBias(np.zeros(len(expected)), "float32")]
    if sum(bias.codes.size for bias in held) != len(expected):
        return f"{of} has {sum(bias.codes.size for bias in held)} values; expected {len(expected)}, one per channel"
    if not all(_has_scale_of_product(bias) for bias in held):
        return f"{of} has a scale that is not that of the layer's input times that of its weights"
    parts = np.split(expected, np.cumsum([bias.codes.size for bias in held])[:-1])
    errors = np.abs(np.concatenate([_values(bias) for bias in held]) - expected)
    units = np.concatenate([_units(*each) for each in zip(held, parts, strict=True)])
    dtype = held[0].dtype
    allowed = LIMITS[dtype] * units + _FLOAT_NOISE * kernel.bias_reach + (_HALF_STEP if dtype == "float16" else _LEAST)
    wrong = ~(errors <= allowed)
    if not wrong.any():
        return ""
    channel = int(np.argmax(np.where(wrong, np.nan_to_num(errors / allowed, nan=np.inf), 0)))
    others = int(wrong.sum()) - 1
    more = f", and {others} more {'is' if others == 1 else 'are'} wrong" if others else ""
    error, unit = errors[channel] / max(units[channel], _LEAST), "of its size" if dtype.startswith("float") else "steps"
    return (
        f"{of} is not the network's: channel {channel} is off by {error:.3g} {unit}; expected at most {LIMITS[dtype]}"
        f"{more}"
    )


def _has_scale_of_product(bias: StoredBias) -> bool:
    """Whether runtimes that add integers and those that add the numbers they stand for get the same sum."""
    if not (bias.product.size and bias.scale.size):
        return True
    return bool(np.all(np.abs(bias.scale - bias.product) <= _SAME_SCALE * np.abs(bias.product) + _LEAST))


def _values(bias: StoredBias) -> Numbers:
    return bias.codes * bias.product if bias.product.size else bias.values


def _units(bias: StoredBias, expected: Numbers) -> Numbers:
    """What an error is counted in, `(C_out,)`: the step of integers, the size of floats."""
    if bias.dtype.startswith("float"):
        return np.abs(expected)
    own = bias.product if bias.product.size else bias.scale
    if bias.dtype == "int32":
        return np.broadcast_to(own, bias.codes.shape)
    span = max(float(expected.max()), 0.0) - min(float(expected.min()), 0.0)
    return np.full(len(bias.codes), (span or _LEAST) / 255)
