"""Runs a checkpoint in PyTorch: the reference for every exported file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from torchseg.harness.runtimes.base import RuntimeInfo
from torchseg.modelfile.run_options import DEFAULT_OPTIONS, RunOptions

if TYPE_CHECKING:
    from torch import nn


class TorchRuntime:
    """PyTorch in eager mode on the CPU, eval mode, channels_last. Sets the number of threads of the whole process."""

    def __init__(self, *, threads: int) -> None:
        import torch

        # Here and not in `load`: the time of an import must not count as load time of the file.
        from torchseg.checkpoint import load_checkpoint

        torch.set_num_threads(threads)
        self._torch = torch
        self._open = load_checkpoint
        self._threads = threads
        self._model: nn.Module | None = None
        self._shape: tuple[int | None, ...] = ()

    def load(self, path: Path, options: RunOptions = DEFAULT_OPTIONS) -> None:
        """Opens a checkpoint, given as its folder or its weights file; raises ValueError if it is not one.

        The options are for files of other tools and change nothing here: a checkpoint's card says everything.
        """
        model, card = self._open(path)
        self._model = model.to(memory_format=self._torch.channels_last)  # type: ignore[call-overload]
        self._shape = (None, card.spec.channels, None, None)

    def predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(B, K, H, W)` of normalised images `(B, C, H, W)`."""
        if self._model is None:
            raise ValueError("no checkpoint is loaded; call load first")
        batch = self._torch.from_numpy(np.ascontiguousarray(images))
        with self._torch.inference_mode():
            logits = self._model(batch.to(memory_format=self._torch.channels_last))
        return np.ascontiguousarray(logits.float().numpy())

    def describe(self) -> RuntimeInfo:
        """PyTorch's version and the number of threads."""
        return RuntimeInfo(
            name="torch", version=str(self._torch.__version__), threads=self._threads, input_shape=self._shape
        )
