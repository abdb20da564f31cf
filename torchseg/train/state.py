"""Saves and restores an unfinished training: weights, optimizer state, callback and curve, without pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from torchseg.atomic_file import partial_file
from torchseg.train.callback import Callback

Row = dict[str, float | int]
_FILE = "training.safetensors"


@dataclass(kw_only=True)
class Progress:
    """Progress of a training.

    Attributes:
        epoch: epochs done.
        best_miou: best validation mean IoU so far, in [0, 1]; -1 before the first.
        best: state dict of the weights with that mean IoU.
        curve: rows of `curves.csv`.
    """

    epoch: int = 0
    best_miou: float = -1.0
    best: dict[str, Tensor] = field(default_factory=dict)
    curve: list[Row] = field(default_factory=list)


def save_progress(
    folder: Path,
    progress: Progress,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    callback: Callback,
    averaged: nn.Module | None = None,
) -> None:
    """Writes everything that the next epoch depends on; the file is written atomically.

    Args:
        folder: for the file.
        progress: of the training.
        model: the network as it is trained.
        optimizer: of the network.
        callback: of the training.
        averaged: the moving average of the network, if there is one.
    """
    tensors = {f"best/{name}": tensor for name, tensor in progress.best.items()}
    tensors |= {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"averaged/{name}": tensor for name, tensor in (averaged.state_dict() if averaged else {}).items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in state.items()}
    tensors |= {f"callback/{name}": tensor for name, tensor in callback.state_dict().items()}
    note = {"epoch": progress.epoch, "best_miou": progress.best_miou, "curve": progress.curve}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with partial_file(folder / _FILE) as partial:
        save_file(contiguous, partial, metadata={"progress": json.dumps(note)})


def load_progress(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    callback: Callback,
    averaged: nn.Module | None = None,
) -> Progress:
    """Restores what `save_progress` was given to the saved state; returns empty progress if no valid file exists."""
    path = folder / _FILE
    if not path.is_file():
        return Progress()
    try:
        with safe_open(path, framework="pt") as file:
            note = json.loads(file.metadata()["progress"])
            # Copy the tensors: Windows cannot replace a file that is still memory-mapped.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError):
        return Progress()  # a damaged file loses its epochs, but does not stop the run
    model.load_state_dict(_below("model/", tensors))
    state: dict[int, dict[str, Any]] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, tensor in _below("optimizer/", tensors).items():
        index, key = name.split("/")
        like = parameters[int(index)]
        # The fused optimizer reads weight and moments in memory order, so they must have the same layout.
        same_layout = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else tensor
        state.setdefault(int(index), {})[key] = same_layout
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    if averaged:
        averaged.load_state_dict(_below("averaged/", tensors))
    if known := _below("callback/", tensors):
        callback.load_state_dict(known)
    return Progress(best=_below("best/", tensors), **note)


def discard_progress(folder: Path) -> None:
    """Deletes the progress file of a finished training."""
    (folder / _FILE).unlink(missing_ok=True)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
