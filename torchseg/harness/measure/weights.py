"""The weights in any model file, as the file stores them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.modelfile.kinds import runtime_name
from torchseg.modelfile.weights import StoredWeight, stored_weight


@dataclass(frozen=True, kw_only=True)
class WeightCount:
    """What compression left in a file.

    Attributes:
        sparsity: share of stored convolution and matrix weights that stand for zero, in [0, 1]; NaN without
            weights.
        max_unique_weights: largest number of distinct values other than zero in one tensor. Quantized codes
            count as they are stored, before their scale is applied.
    """

    sparsity: float
    max_unique_weights: int


def count_weights(tensors: Iterable[NDArray[Any]]) -> WeightCount:
    """Zeros and distinct values over all tensors; biases and normalisation are not among `weights_in`."""
    zeros = total = most = 0
    for tensor in tensors:
        rest = tensor[tensor != 0]
        total += tensor.size
        zeros += tensor.size - rest.size
        most = max(most, np.unique(rest).size)
    return WeightCount(sparsity=zeros / total if total else float("nan"), max_unique_weights=most)


def weights_in(path: Path) -> Iterator[StoredWeight]:
    """Kernel of every convolution and matrix product in the file, one after the other.

    Raises:
        ValueError: if the file is none of the kinds that `open_runtime` takes.
    """
    from torchseg.modelfile.weights import onnx_weights, tflite_weights

    readers = {"torch": _in_checkpoint, "onnxruntime": onnx_weights, "litert": tflite_weights}
    return readers[runtime_name(path)](path)


def _in_checkpoint(path: Path) -> Iterator[StoredWeight]:
    from torch import nn

    from torchseg.checkpoint import load_checkpoint

    model, _ = load_checkpoint(path)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            kernel = module.weight.detach().float().numpy()
            axis = 1 if isinstance(module, nn.ConvTranspose2d) else 0
            yield stored_weight(name, kernel, channel_axis=axis, zero_point=np.empty(0, np.int32))
