"""Compares the weights and biases in a model file with those of its network; needs no images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.bias_check import BiasCheck
from tf_bridge.certify.network_layers import Kernel, NetworkLayers
from tf_bridge.layer_names import layer_of_tensor
from tf_bridge.weight_steps import LARGEST_FACTOR
from torchseg.modelfile.keras.file import keras_weights
from torchseg.modelfile.weights import StoredWeight, onnx_weights, tflite_weights

_INTEGERS = ("int8", "uint8")
# Largest error of a stored weight: of integers in steps (of the channel, or of the tensor if that has one scale), of
# floats as a share of the channel's largest weight.
LIMITS = {"int8": 0.52, "uint8": 1.02, "float16": 6e-4, "float32": 1e-4}
_READERS = {".onnx": onnx_weights, ".tflite": tflite_weights, ".keras": keras_weights}
_HALF_STEP = 2.0**-25  # float16 has equal steps of 2**-24 below its smallest normal number
_HALF = 1e-3  # a step may be rounded to float16
_FLOAT_NOISE = 1e-4  # of the largest weight of a layer: batch norm is folded in float32


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """How a file stores a parameter as 8-bit integers.

    Attributes:
        dtype: `int8` or `uint8`.
        axis: of the parameter whose channels have scales of their own; None if it has one scale.
        factors: each channel's step over the one that its largest weight needs, `(C_out,)`, or one for all, `(1,)`.
    """

    dtype: str
    axis: int | None
    factors: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class WeightCheck:
    """How close the weights in a file are to those of its network.

    Attributes:
        checked: number of layers compared.
        integers: of each parameter that the file stores as 8-bit integers.
        worst_layer: the layer with the largest error relative to its limit; empty if none was compared.
        worst_share: that error over its limit; the weights hold up to 1.
        failures: one sentence per layer that differs, or that the file lacks.
    """

    checked: int
    integers: Mapping[str, Rounding]
    worst_layer: str
    worst_share: float
    failures: tuple[str, ...]


def check_weights(path: Path, network: NetworkLayers, *, stored: Sequence[StoredWeight] | None = None) -> WeightCheck:
    """Compares the kernel of each convolution and linear layer, dequantized, with the network's, batch norm folded in.

    The biases are compared likewise, of integers in steps of the input times those of the weights.

    Args:
        path: `.onnx`, packed or not, `.tflite` or `.keras`.
        network: that the file should compute.
        stored: the weights in the file, if they were read already.
    """
    stored, channels_last = stored_weights(path) if stored is None else stored, path.suffix != ".onnx"
    nameless = [each for each in stored if not any(_is_named(each.name, kernel) for kernel in network.kernels)]
    errors: dict[str, float] = {}
    integers: dict[str, Rounding] = {}
    failures, biases = [], BiasCheck()
    for kernel in network.kernels:
        whole = _stored(kernel, stored) or _nearest(kernel, nameless, channels_last=channels_last)
        if not whole:
            failures.append(f"layer `{kernel.layer}` has no weights of shape {kernel.values.shape} in the file")
            continue
        parts = whole[0]
        folded, plain = _variant_errors(kernel, parts, channels_last=channels_last)  # (C_out,) each
        share = folded if folded.max() <= plain.max() else plain
        if parts[0].dtype in _INTEGERS:
            integers[kernel.parameter] = _rounding(kernel, parts, kernel.values if share is folded else kernel.plain)
        errors[kernel.layer] = max(float(share.max()), errors.get(kernel.layer, 0.0))
        if not errors[kernel.layer] <= 1:
            failures.append(_sentence(kernel, parts[0], share))
        as_folded = [name for name, each in ((True, folded), (False, plain)) if each.max() <= 1]
        biases.add(kernel, [[part.bias for part in each] for each in whole], folded=as_folded or [True])
    worst = max(errors, key=lambda layer: errors[layer], default="")
    return WeightCheck(
        checked=len(errors),
        integers=integers,
        worst_layer=worst,
        worst_share=errors.get(worst, 0.0),
        failures=(*failures, *biases.failures()),
    )


def stored_weights(path: Path) -> list[StoredWeight]:
    """The weights in an `.onnx`, `.tflite` or `.keras` file; a runtime computes those that the file does not store."""
    return list(_READERS[path.suffix](path))


def stored_dtypes(network: NetworkLayers, stored: Sequence[StoredWeight]) -> dict[str, str]:
    """The dtype that a file stores the weights of each layer in, e.g. `int8`; without layers it has no names of."""
    found = {kernel.layer: _stored(kernel, stored) for kernel in network.kernels}
    return {layer: whole[0][0].dtype for layer, whole in found.items() if whole}


def _rounding(kernel: Kernel, parts: Sequence[StoredWeight], exact: NDArray[np.float32]) -> Rounding:
    """How the parts of a kernel are stored whose exact weights are `(C_out, ...)`."""
    scale, factors = parts[0].scale, np.ones(1)
    if parts[0].dtype == "int8" and scale.size == len(exact):
        largest = np.abs(exact.reshape(len(exact), -1)).max(axis=1).astype(np.float64)
        steps = np.divide(largest, 127, out=scale.astype(np.float64), where=largest > 0)
        factors = np.clip(scale / steps, 1 - _HALF, LARGEST_FACTOR + _HALF)
    return Rounding(dtype=parts[0].dtype, axis=kernel.axis if scale.size > 1 else None, factors=factors)


def _sentence(kernel: Kernel, part: StoredWeight, share: NDArray[np.float64]) -> str:
    limit, unit = LIMITS[part.dtype], "steps" if part.dtype in _INTEGERS else "of the largest weight"
    return (
        f"weights of layer `{kernel.layer}` are not the network's: {int((~(share <= 1)).sum())} of "
        f"{len(share)} channels are off by up to {limit * share.max():.3g} {unit}; expected at most {limit}"
    )


def _stored(kernel: Kernel, stored: Sequence[StoredWeight]) -> list[list[StoredWeight]]:
    """The tensors that hold a kernel, one list for each operator that reads it.

    A transposed convolution with groups has one tensor per group in a TFLite file.
    """
    size = kernel.values.size
    named = [each for each in stored if _is_named(each.name, kernel)]
    if whole := [[each] for each in named if each.rows.size == size]:
        return whole
    return [named] if sum(each.rows.size for each in named) == size else []


def _nearest(kernel: Kernel, nameless: Sequence[StoredWeight], *, channels_last: bool) -> list[list[StoredWeight]]:
    """The closest of the tensors without a layer's name: converters rename weights that two layers share."""
    fitting = [each for each in nameless if each.rows.shape == (len(kernel.values), kernel.values[0].size)]

    def distance(part: StoredWeight) -> float:
        return min(float(each.max()) for each in _variant_errors(kernel, [part], channels_last=channels_last))

    return [[each] for each in sorted(fitting, key=distance)[:1]]


def _is_named(name: str, kernel: Kernel) -> bool:
    rest = name.removeprefix(kernel.parameter)
    return rest in ("", "_quantized", ".fp16") or layer_of_tensor(name) == kernel.layer


def _variant_errors(
    kernel: Kernel, parts: Sequence[StoredWeight], *, channels_last: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest error per output channel over what is allowed, `(C_out,)`, with batch norm folded in and without.

    Not finite for weights that are not.
    """
    expected = (np.moveaxis(each, 1, -1) if channels_last else each for each in (kernel.values, kernel.plain))
    folded, plain = (_row_errors(each.reshape(len(each), -1).astype(np.float64), parts) for each in expected)
    return folded, plain


def _row_errors(rows: NDArray[np.float64], parts: Sequence[StoredWeight]) -> NDArray[np.float64]:
    """The same against rows of weights, `(C_out, N)`."""
    found = np.concatenate([part.values for part in parts])
    if groups := len(rows) // len(found) if len(found) < len(rows) else 0:  # of a transposed convolution in ONNX
        found = found.reshape(len(found), groups, -1).swapaxes(0, 1)
    found = found.reshape(rows.shape)
    dtype, largest = parts[0].dtype, np.abs(rows).max(axis=1)
    shared = np.tile(largest.reshape(groups, -1).max(axis=0), groups) if groups else largest
    unit = _steps(rows, shared if parts[0].scale.size > 1 else None) if dtype in _INTEGERS else largest
    noise = _FLOAT_NOISE * largest.max(initial=0.0)
    allowed = LIMITS[dtype] * unit + (noise if dtype in _INTEGERS else LIMITS["float32"] * noise)
    if dtype == "float16":
        allowed = np.maximum(allowed, _HALF_STEP)
    return np.asarray(np.abs(found - rows).max(axis=1) / np.maximum(allowed, np.finfo(np.float32).tiny))


def _steps(rows: NDArray[np.float64], largest: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """The step that 8 bits give each channel, `(C_out,)`: by its largest weight, or None for one step per tensor."""
    if largest is not None:
        return largest / 127
    span = max(2 * np.abs(rows).max(), 1e-30)
    return np.full(len(rows), span / 254)


def simulated_weights(network: NetworkLayers, check: WeightCheck) -> dict[str, NDArray[np.float32]]:
    """The network's own weights, rounded with the steps of the file; by parameter.

    Quantizers fold batch norm in first. With a scale per channel that changes no code, because the channel's step grows
    with the factor. With one scale for the tensor, the channel with the largest weights decides how all are rounded.

    Args:
        network: whose weights to round.
        check: says which weights the file stores as integers, and how.
    """
    rounded = {}
    for kernel in network.kernels:
        if rounding := check.integers.get(kernel.parameter):
            weight = network.parameter(kernel.parameter)
            factor = np.ones(1) if rounding.axis is not None else _along(kernel.factor, weight, kernel.axis)
            folded = _rounded(weight * factor, rounding, _along(rounding.factors, weight, kernel.axis))
            unfolded = np.divide(folded, factor, out=weight.astype(np.float64), where=factor != 0)
            rounded[kernel.parameter] = unfolded.astype(np.float32)
    return rounded


def _along(factor: NDArray[np.float64], weight: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """One factor per output channel in the shape of a weight, ones where groups share the channels of the weight."""
    if len(factor) != weight.shape[axis]:
        return np.ones(1)
    return factor.reshape([-1 if each == axis else 1 for each in range(weight.ndim)])


def _rounded(weight: NDArray[np.float64], rounding: Rounding, factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest numbers that 8 bits can hold, with steps that are multiplied with factors."""
    others = tuple(each for each in range(weight.ndim) if each != rounding.axis)
    low = np.minimum(weight.min(axis=others, keepdims=True), 0)
    high = np.maximum(weight.max(axis=others, keepdims=True), 0)
    step = factors * (np.maximum(-low, high) / 127 if rounding.dtype == "int8" else (high - low) / 255)
    step[step == 0] = 1
    shift = 0 if rounding.dtype == "int8" else np.round(low / step)
    return np.asarray((np.round(weight / step - shift) + shift) * step)
