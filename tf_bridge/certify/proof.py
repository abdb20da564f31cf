"""The proof that a file holds its network's weights and arithmetic, layer by layer: limits, numbers and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.file_layers import OUTPUT
from tf_bridge.certify.file_reader import FileReader, LocalFile
from tf_bridge.certify.layer_check import LayerErrors, measure_layers
from tf_bridge.certify.network_layers import NetworkLayers
from tf_bridge.certify.operator_check import foreign_operators
from tf_bridge.certify.range_check import Ranges, check_ranges
from tf_bridge.certify.weight_check import WeightCheck, check_weights, simulated_weights
from torchseg.modelfile.precision import Precision
from torchseg.plural import counted

# Rounding to a grid costs 1 / sqrt(12) = 0.29 steps; each layer starts from the file's own inputs, so nothing adds up.
MAX_STEPS = 0.6
MAX_POOLED_STEPS = 8.0  # see `LayerErrors.pooled`; more where a step of the layer's input is worth more
# One channel alone, such as one with another bias. A weak channel of a depthwise convolution was seen 3.2 steps off.
MAX_CHANNEL_STEPS = 8.0
# Of a layer's range, where a file computes in float: dynamic files round each layer's input at run time.
MAX_SHARE = {Precision.FP32: 1e-4, Precision.FP16: 5e-3, Precision.DYNAMIC: 2e-2, Precision.INT8: 5e-3}
# One channel alone, where nothing is rounded at run time: that costs a weak channel as many steps as a strong one.
MAX_CHANNEL_SHARE = {Precision.FP32: 2.5e-4, Precision.FP16: 2.5e-2}
# Mean square error of a file's logits over that of the network with its weights and values rounded in PyTorch.
MAX_NOISE = {Precision.DYNAMIC: 4.0, Precision.INT8: 2.0}
_POOLED_NOISE = 2.0  # times as much for networks with such values, whose rounding the simulation does not know
_WIDE = 8.0  # deviation of the noise that takes float layers to where they cut off
_NAMED = 3  # layers that a message names
_PROVEN_ON = 4  # images, beside the one that agrees least

Pair = tuple[NDArray[np.float32], NDArray[Any]]


def proven_on(worst_image: int, count: int) -> list[int]:
    """Indices of the images of `count` that a file is proven on: the one that agrees least and a few others.

    On one image, the noise of the file can be several times that of its simulation by chance, most of all where it
    agrees least.
    """
    others = np.linspace(0, count - 1, min(_PROVEN_ON, count), dtype=int).tolist()
    return list(dict.fromkeys([worst_image, *others]))


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the layers of a file show.

    Attributes:
        numbers: plain values for the certificate.
        failures: one sentence per fault, the first few of each kind; empty if the proof holds.
    """

    numbers: dict[str, Any]
    failures: tuple[str, ...]


def prove(path: Path, network: NetworkLayers, images: Sequence[Pair], **options: Any) -> Proof:
    """Like `prove_layers`, but proves nothing of a network with operators that a file does not hold as they are."""
    if network.unproven:
        return Proof(numbers={"not_checked_because_of": network.unproven}, failures=())
    return prove_layers(path, network, images, **options)


def prove_layers(
    path: Path,
    network: NetworkLayers,
    images: Sequence[Pair],
    *,
    precision: Precision,
    ranges: Ranges | None = None,
    reader: FileReader | None = None,
) -> Proof:
    """Holds the weights of a file, and its arithmetic if it is quantized, against the network layer by layer.

    Args:
        path: `.onnx` or `.tflite`.
        network: that the file should compute.
        images: a few pairs of an image for the network, float32 `(1, C, H, W)`, and the same image for the file.
        precision: of the file.
        ranges: for int8, of the network's values on the calibration images.
        reader: reads and runs the file; by default, in this process.
    """
    reader = reader or LocalFile(path)
    weights = check_weights(path, network, stored=reader.weights())
    numbers: dict[str, Any] = {"weights": _weight_numbers(weights)}
    failures = [*_first(weights.failures)]
    takes_pixels = images[0][1].dtype != np.float32
    failures += foreign_operators(path, network, precision, end_to_end=takes_pixels)
    if precision is Precision.INT8:
        kept = (kernel.layer for kernel in network.kernels if kernel.parameter not in weights.integers)
        numbers["float_layers"] = list(dict.fromkeys(kept))
    file = reader.layers()
    errors = measure_layers(network, file, _shown(images, precision), simulated_weights(network, weights))
    if ranges is not None:
        grids = {network.output if name == OUTPUT else name: grid for name, grid in file.grids.items()}
        shown = {name: grids[name] for name in errors.steps}
        wrong = check_ranges(network, shown, ranges)
        numbers["ranges"] = {"checked": len(shown), "wrong": sorted(wrong)}
        failures += _first([f"the grid of `{name}` {reason}" for name, reason in wrong.items()])
    numbers["arithmetic"] = _error_numbers(errors)
    if precision in MAX_NOISE:
        numbers["arithmetic"]["noise_ratio"] = _number(errors.noise_ratio)
    failures += _first(_beyond(errors, precision))
    if precision in MAX_NOISE:
        failures += _judge_output(errors, network.output, precision)
    return Proof(numbers=numbers, failures=tuple(failures))


def _shown(images: Sequence[Pair], precision: Precision) -> Sequence[Pair]:
    """The images to compare layers on; files in float also get wide noise, so that a bound that was moved shows."""
    image, fed = images[0]
    if precision in MAX_NOISE or fed.dtype != np.float32:
        return images
    noise = (_WIDE * np.random.default_rng(0).standard_normal(image.shape)).astype(np.float32)
    return [(image, fed), (noise, noise)]


def _beyond(errors: LayerErrors, precision: Precision) -> list[str]:
    pooled, share = errors.pooled, MAX_SHARE[precision]
    limits = dict.fromkeys(errors.steps, MAX_STEPS)
    limits |= {name: max(MAX_POOLED_STEPS, MAX_STEPS + pooled[name]) for name in limits.keys() & pooled.keys()}
    shares = dict.fromkeys(errors.shares, share)
    if precision is Precision.DYNAMIC:
        shares |= {name: max(share, pooled[name]) for name in shares.keys() & pooled.keys()}
    beyond = [
        f"layer `{name}` is off by {error:.3g} steps of its own grid; expected at most {limits[name]:.3g}"
        for name, error in errors.steps.items()
        if not error <= limits[name]
    ]
    beyond += [
        f"layer `{name}` is off by {error:.3g} of its range; expected at most {shares[name]:.3g}"
        for name, error in errors.shares.items()
        if not error <= shares[name]
    ]
    return beyond + [
        f"one channel of layer `{name}` is off by {error:.3g} {unit}; expected at most {limit:.3g}"
        for name, error in errors.channels.items()
        for unit, limit in [_channel_limit(name in errors.steps, precision)]
        if not error <= limit
    ]


def _channel_limit(has_grid: bool, precision: Precision) -> tuple[str, float]:
    if has_grid:
        return "steps of its own grid", MAX_CHANNEL_STEPS
    return "of its range", MAX_CHANNEL_SHARE.get(precision, np.inf)


def _judge_output(errors: LayerErrors, output: str, precision: Precision) -> list[str]:
    if output not in errors.steps | errors.shares:
        return ["the file has no tensor `logits` that can be compared with the network's"]
    noise = MAX_NOISE[precision] * (_POOLED_NOISE if errors.pooled else 1.0)
    failures = []
    if not errors.noise_ratio <= noise:
        failures.append(
            f"the logits are off by {errors.noise_ratio:.3g} times what rounding this network must cost; "
            f"expected at most {noise}"
        )
    return failures


def _weight_numbers(check: WeightCheck) -> dict[str, Any]:
    share = check.worst_share
    return {
        "checked": check.checked,
        "worst_layer": check.worst_layer,
        "share_of_limit": round(share, 4) if np.isfinite(share) else None,
    }


def _error_numbers(errors: LayerErrors) -> dict[str, Any]:
    numbers: dict[str, Any] = {"checked": len(errors.steps) + len(errors.shares)}
    of_grids = {name: error for name, error in errors.channels.items() if name in errors.steps}
    others = {name: error for name, error in errors.channels.items() if name in errors.shares}
    for key, found in (
        *(("steps", errors.steps), ("share_of_range", errors.shares)),
        *(("steps_of_a_channel", of_grids), ("share_of_a_channel", others)),
    ):
        if found:
            worst = max(found, key=lambda name: found[name])
            numbers[key] = {"layer": worst, "error": _number(found[worst])}
    return numbers


def _number(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _first(sentences: Sequence[str]) -> list[str]:
    """The first few sentences, and how many there are besides."""
    more = len(sentences) - _NAMED
    return [*sentences[:_NAMED], *([f"and so on for {counted(more, 'more layer')}"] if more > 0 else [])]
