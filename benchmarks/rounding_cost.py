"""What rounding weights and values to 8 bits costs a network in PyTorch: a measure for the logits of int8 files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tf_bridge.certify.file_layers import OUTPUT, Grid, open_layers
from tf_bridge.certify.layer_check import on_grid
from tf_bridge.certify.network_layers import IMAGE
from tf_bridge.certify.weight_check import check_weights, simulated_weights
from tf_bridge.conversion import Conversion

Images = NDArray[np.float32]


def times_rounding(path: Path, conversion: Conversion, logits: Images, images: Images, calibration: Images) -> float:
    """Mean square error of a file's logits over that of the network with 8-bit weights and values in PyTorch.

    Args:
        path: of the int8 file.
        conversion: of its network.
        logits: that the file computes, `(B, K, H, W)`.
        images: that it computes them from, `(B, C, H, W)`.
        calibration: images that calibrated the file.
    """
    exact = logits_of(conversion, images)
    rounded = rounded_logits(path, conversion, images, calibration)
    return _mean_square(logits - exact) / max(_mean_square(rounded - exact), np.finfo(np.float64).tiny)


def logits_of(conversion: Conversion, images: Images) -> Images:
    """Logits of the network in PyTorch, `(B, K, H, W)`; image by image, as some networks look at the whole batch."""
    import torch

    with torch.no_grad():
        return np.concatenate([conversion.model(torch.from_numpy(image[None])).numpy() for image in images])


def rounded_logits(path: Path, conversion: Conversion, images: Images, calibration: Images) -> Images:
    """Logits `(B, K, H, W)` of the network in PyTorch, with what the file holds as integers rounded to 8 bits.

    Values are rounded to 256 steps of their own range on the calibration images, whatever grid the file has.
    """
    network, kept = conversion.layers, {}
    ranges = conversion.ranges(calibration)
    weights = simulated_weights(network, check_weights(path, network))
    integers = {network.output if name == OUTPUT else name for name in open_layers(path).grids} | {IMAGE}

    def visit(name: str, value: Images) -> Images | None:
        low, high = ranges.get(name, (0.0, 0.0))
        rounded = on_grid(value, Grid((high - low) / 255, low, high)) if name in integers and low < high else value
        kept[name] = rounded
        return rounded

    logits = []
    for image in images:
        network.run(image[None], visit, weights=weights)
        logits.append(kept[network.output])
    return np.concatenate(logits)


def _mean_square(values: Images) -> float:
    return float(np.square(values, dtype=np.float64).mean())
