"""Checks layer by layer that a quantized file computes what its network computes, up to its own rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.file_layers import OUTPUT, FileLayers, Grid
from tf_bridge.certify.network_layers import IMAGE, Kernel, NetworkLayers, Values

_NO_NOISE = 1e-10  # share of the squared range of the logits: float32 rounds as much

Weights = Mapping[str, NDArray[np.float32]]


@dataclass
class LayerErrors:
    """Errors of a file's layers, each computed from the file's own inputs of that layer, so that none is carried on.

    Attributes:
        steps: root mean square error in steps of the layer's grid, by name, the largest over the images.
        pooled: of the values that are one pixel high or wide, such as global averages, by name: how far one step of
            what the layer reads can move the value, in the unit of its error. A runtime rounds such values once more
            on their way into the next layer, which no tensor of the file shows, and no other pixel evens that out.
        shares: root mean square error over the layer's range, of the layers without a grid.
        channels: the same of the channel that is off by most, in steps or as a share; pooled values have none.
        file_noise: mean square error of the file's logits against the network's, summed over the images.
        simulated_noise: likewise for the network with its weights and values rounded in PyTorch.
        logit_range: largest logit of the network minus the smallest.
    """

    steps: dict[str, float] = field(default_factory=dict)
    pooled: dict[str, float] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    channels: dict[str, float] = field(default_factory=dict)
    file_noise: float = 0.0
    simulated_noise: float = 0.0
    logit_range: float = 0.0

    @property
    def noise_ratio(self) -> float:
        """Noise of the file over that of the simulation; noise that float32 rounding explains counts as equal."""
        least = _NO_NOISE * self.logit_range**2 or 1e-30
        return (self.file_noise + least) / (self.simulated_noise + least)


@np.errstate(over="ignore", invalid="ignore")  # a damaged file's values may be infinite: then so are the errors
def measure_layers(
    network: NetworkLayers,
    file: FileLayers,
    images: Sequence[tuple[NDArray[np.float32], NDArray[np.generic]]],
    weights: Weights,
) -> LayerErrors:
    """Runs file and network on a few images and compares them layer by layer.

    Args:
        network: that the file should compute.
        file: from `open_layers`.
        images: pairs of an image for the network, float32 `(1, C, H, W)`, and the same for the file, which differs for
            an end-to-end file.
        weights: the network's weights, rounded where the file holds integers, from `simulated_weights`.
    """
    errors = LayerErrors()
    grids = {network.output if name == OUTPUT else name: grid for name, grid in file.grids.items()}
    for image, fed in images:
        found = file.run(fed)
        if OUTPUT in found:
            found[network.output] = found.pop(OUTPUT)
        exact = _values(network, image)
        _local_errors(errors, network, image, (found, grids, weights))
        simulated = _values(network, image, grids=grids, weights=weights)
        if network.output in found:
            errors.file_noise += _noise(found[network.output], exact[network.output])
            errors.logit_range = max(errors.logit_range, float(np.ptp(exact[network.output])))
            errors.simulated_noise += _noise(simulated[network.output], exact[network.output])
    return errors


def _values(
    network: NetworkLayers,
    image: NDArray[np.float32],
    *,
    grids: Mapping[str, Grid] | None = None,
    weights: Weights | None = None,
) -> Values:
    """The network's values, rounded to the grids where there are any."""
    kept: Values = {}
    # Without grids of their own, the inputs of integer weights are rounded to 8 bits of their range at run time.
    at_run_time = network.readers(weights or {}) if not grids else frozenset[str]()

    def visit(name: str, value: NDArray[np.float32]) -> NDArray[np.float32] | None:
        grid = (grids or {}).get(name) or (_own_grid(value) if name in at_run_time else None)
        kept[name] = value if grid is None else on_grid(value, grid)
        return None if grid is None else kept[name]

    network.run(image, visit, weights=weights)
    return kept


def _own_grid(value: NDArray[np.float32]) -> Grid:
    """The 8 bits that a runtime gives to these values: they hold zero, so the range is moved by up to half a step.

    The move matters where an image is flat: there each pixel is rounded by the same amount, and no layer averages that.
    """
    step = _own_step(value) or 1.0
    below = round(max(-float(value.min()), 0.0) / step)
    return Grid(step, -below * step, (255 - below) * step)


def _own_step(value: NDArray[np.float32]) -> float:
    """The step of that grid; 0 for zeros alone."""
    return (max(float(value.max()), 0.0) - min(float(value.min()), 0.0)) / 255


def on_grid(values: NDArray[np.float32], grid: Grid) -> NDArray[np.float32]:
    """The nearest numbers of a grid."""
    rounded = np.round((np.clip(values, grid.low, grid.high) - grid.low) / grid.step)
    return np.asarray(rounded * grid.step + grid.low, np.float32)


def _local_errors(
    errors: LayerErrors,
    network: NetworkLayers,
    image: NDArray[np.float32],
    given: tuple[Values, Mapping[str, Grid], Weights],
) -> None:
    found, grids, weights = given
    kernels = {kernel.layer: kernel for kernel in network.kernels}
    steps: dict[str, float] = {}

    def visit(name: str, value: NDArray[np.float32]) -> NDArray[np.float32] | None:
        own, grid = found.get(name), grids.get(name)
        steps[name] = grid.step if grid else _own_step(value)
        if own is None or own.shape != value.shape:
            return None
        unit = grid.step if grid else float(np.ptp(value)) or 1.0
        if 1 in value.shape[2:]:
            read = max((steps.get(each, 0.0) for each in network.sources[name]), default=0.0)
            moved = read * _reach(kernels.get(name.rpartition("/")[0])) / unit
            errors.pooled[name] = max(moved, errors.pooled.get(name, 0.0))
        if grid is not None:
            _add(errors, errors.steps, name, (own - np.clip(value, grid.low, grid.high)) / unit)
        elif name != IMAGE:
            _add(errors, errors.shares, name, (own - value) / unit)
        return own

    network.run(image, visit, weights=weights)


def _reach(kernel: Kernel | None) -> float:
    """How far a layer's values can move if everything that it reads moves by one; 0 for layers without weights."""
    return 0.0 if kernel is None else float(np.abs(kernel.values).reshape(len(kernel.values), -1).sum(axis=1).max())


def _add(errors: LayerErrors, found: dict[str, float], name: str, differences: NDArray[np.float32]) -> None:
    """Notes the differences of a layer, `(B, C, ...)`, where they are larger than those of the images before."""
    squares = np.square(differences, dtype=np.float64)
    found[name] = max(_root(squares.mean()), found.get(name, 0.0))
    if name not in errors.pooled and squares.ndim > 1:
        largest = squares.mean(axis=tuple(axis for axis in range(squares.ndim) if axis != 1)).max(initial=0.0)
        errors.channels[name] = max(_root(largest), errors.channels.get(name, 0.0))


def _noise(found: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Mean square error, in float64: values of a damaged file can be so large that their squares overflow float32."""
    return float(np.square(np.subtract(found, exact, dtype=np.float64)).mean())


def _root(square: np.float64) -> float:
    return float(np.sqrt(square))
