"""Reads and counts the weights of any kind of model file, as stored."""

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
    """Zeros and distinct values in the weights of a file.

    Attributes:
        sparsity: share of stored convolution and matrix weights that represent zero, in [0, 1]; NaN without weights.
        max_unique_weights: largest number of distinct nonzero values in one tensor. Quantized codes count as stored,
            before their scale is applied.
    """

    sparsity: float
    max_unique_weights: int


def count_weights(tensors: Iterable[NDArray[Any]]) -> WeightCount:
    """Counts zeros and distinct values over all tensors; `weights_in` leaves out biases and normalisation."""
    zeros = total = most = 0
    for tensor in tensors:
        rest = tensor[tensor != 0]
        total += tensor.size
        zeros += tensor.size - rest.size
        most = max(most, np.unique(rest).size)
    return WeightCount(sparsity=zeros / total if total else float("nan"), max_unique_weights=most)


def weights_in(path: Path) -> Iterator[StoredWeight]:
    """The kernel of each convolution and matrix product in the file.

    Raises:
        ValueError: if the kind of file is unknown.
    """
    from torchseg.modelfile.keras.file import keras_weights
    from torchseg.modelfile.weights import onnx_weights, tflite_weights

    readers = {
        "torch": _in_checkpoint,
        "onnxruntime": onnx_weights,
        "litert": tflite_weights,
        "tensorflow": keras_weights,
    }
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
