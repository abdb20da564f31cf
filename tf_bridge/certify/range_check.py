"""Compares the integer grids in an int8 file with the ranges that its network has on the calibration images."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tf_bridge.certify.file_layers import Grid
from tf_bridge.certify.network_layers import IMAGE, NetworkLayers

Ranges = Mapping[str, tuple[float, float]]

# A quantizer moves the ends of a range by up to half a step, so that zero is on the grid; the ends of a network's own
# range differ between two libraries by rounding errors.
_STEPS = 1.0
_SHARE = 2e-3
# Operators whose output has the codes of the input, or whose inputs share the grid of the output.
_SAME_CODES = (
    "cat", "max_pool", "avg_pool", "mean", "upsample", "pad", "view", "reshape", "_unsafe_view", "permute",
    "slice", "select", "expand", "squeeze", "unsqueeze", "transpose",
    "flatten", "clone", "index", "split", "amax", "adaptive",
)  # fmt: skip
# Operators to which it does not matter what is beyond the range of their output, and those that no file holds.
_CHOOSING = ("max_pool", "adaptive_max", "amax", "max", "relu", "hardtanh", "clamp")
_PASSING = ("clone", "detach", "alias", "dropout", "feature_dropout")
# Operators with a grid that depends on no image.
_FIXED = {"sigmoid": (0.0, 1.0), "hardsigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_FINEST = 1 / 64  # the exporters widen a range that is that small against the values it comes from


def check_ranges(network: NetworkLayers, grids: Mapping[str, Grid], ranges: Ranges) -> dict[str, str]:
    """The quantized tensors whose grid is not that of a measured range, and what is wrong with each, one phrase each.

    A tensor may have the wider range of a tensor that it shares its codes with, such as the output of a concatenation,
    but one that cuts off its own values only where nothing reads them, as before a maximum.

    Args:
        network: that the file should compute.
        grids: of the file, by the name of the layer's value.
        ranges: of the network's values on the calibration images, from `NetworkLayers.ranges`.
    """
    groups, readers = _groups(network), _readers(network)
    found = {}
    for name, grid in grids.items():
        if name not in ranges:
            continue
        low, high = ranges[name]
        if low == high:  # always zero, so that any grid holds it
            continue
        members = groups.get(name, {name})
        known = [ranges[each] for each in members if each in ranges]
        operators = [network.operators.get(each, "") for each in members]
        known += [ends for word, ends in _FIXED.items() if any(word in operator for operator in operators)]
        slack = _FINEST * _reach(network, name, ranges)
        chosen = all(_operator(network, each).startswith(_CHOOSING) for each in readers[name]) and readers[name]
        if not _is_measured(grid, known, slack) or not (chosen or _holds(grid, (low, high), slack)):
            found[name] = f"holds {grid.low:.4g} to {grid.high:.4g}; calibration gives {low:.4g} to {high:.4g}"
    return found


def _is_measured(grid: Grid, known: Collection[tuple[float, float]], slack: float) -> bool:
    """Whether each end of a grid is that of a known range."""
    lows, highs = [low for low, _ in known], [high for _, high in known]
    near = _near(grid, (min(lows), max(highs)), slack)
    return min(abs(grid.low - low) for low in lows) <= near and min(abs(grid.high - high) for high in highs) <= near


def _holds(grid: Grid, ends: tuple[float, float], slack: float) -> bool:
    """Whether a grid cuts off no value between these ends."""
    near = _near(grid, ends, slack)
    return grid.low - near <= ends[0] and ends[1] <= grid.high + near


def _near(grid: Grid, ends: tuple[float, float], slack: float) -> float:
    return _STEPS * grid.step + _SHARE * (ends[1] - ends[0]) + slack


def _reach(network: NetworkLayers, name: str, ranges: Ranges) -> float:
    """Width that a degenerate range may be widened to."""
    low, high = ranges[name]
    sources = [ranges[each] for each in network.sources.get(name, ()) if each in ranges]
    widest = max((end - start for start, end in sources), default=0.0)
    return widest if high - low < _FINEST * widest else 0.0


def _groups(network: NetworkLayers) -> dict[str, set[str]]:
    """Name of each value -> the values that may share its grid, itself included."""
    groups: dict[str, set[str]] = {IMAGE: {IMAGE}}
    for name, sources in network.sources.items():
        groups.setdefault(name, {name})
        if _operator(network, name).startswith(_SAME_CODES):
            merged = groups[name].union(*(groups.get(each, {each}) for each in sources))
            for each in merged:
                groups[each] = merged
    return groups


def _readers(network: NetworkLayers) -> dict[str, set[str]]:
    """Name of each value -> the values that are computed from it, by operators that a file holds."""
    readers: dict[str, set[str]] = {name: set() for name in (IMAGE, *network.sources)}
    for name, sources in reversed(network.sources.items()):
        for each in sources:
            readers[each] |= readers[name] if _operator(network, name) in _PASSING else {name}
    return readers


def _operator(network: NetworkLayers, name: str) -> str:
    """The operator that computes a value, e.g. `max_pool2d`."""
    return network.operators[name].split(".")[1].strip("_")
