"""Saves and restores an unfinished training: weights, optimizer state, callback and curve, without pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from torchseg.atomic_file import move_over, partial_file
from torchseg.console import STDOUT
from torchseg.record import build, plain_json
from torchseg.tensor_file import write_tensors
from torchseg.train.callback import Callback

Row = dict[str, float | int]
_FILE, _OLDER = "training.safetensors", "training.older.safetensors"


@dataclass(frozen=True, kw_only=True)
class _Note:
    """What the metadata of the file say of the training, see `Progress`."""

    epoch: int
    best_miou: float
    curve: tuple[Mapping[str, Any], ...]


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
    """Writes everything that the next epoch depends on, with a checksum; the state before this one is kept beside it.

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
    text = json.dumps(note)
    with partial_file(folder / _FILE) as partial:
        write_tensors(contiguous, partial, metadata={"progress": text, "sha256": _sha256(contiguous, text)})
        if (folder / _FILE).is_file():
            move_over(folder / _FILE, folder / _OLDER)


def load_progress(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    callback: Callback,
    averaged: nn.Module | None = None,
) -> Progress:
    """Restores what `save_progress` was given to the saved state; returns empty progress if there is none.

    A damaged file is reported, and the state before it is taken instead.
    """
    note, tensors = _newest(folder)
    if not note:
        return Progress()
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
    curve = [dict(row) for row in note.curve]
    return Progress(best=_below("best/", tensors), epoch=note.epoch, best_miou=note.best_miou, curve=curve)


def discard_progress(folder: Path) -> None:
    """Deletes the progress files of a finished training."""
    for name in (_FILE, _OLDER):
        (folder / name).unlink(missing_ok=True)


def _newest(folder: Path) -> tuple[_Note | None, dict[str, Tensor]]:
    """Notes and tensors of the newest state that is whole; None and empty if there is none."""
    damaged = ""
    for path in (folder / _FILE, folder / _OLDER):
        if not path.is_file():
            continue
        try:
            note, tensors = _read(path)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            STDOUT.warning(f"{path} is damaged ({' '.join(str(error).split())})")
            damaged = str(path)
            continue
        if damaged:
            STDOUT.warning(f"the state before it is taken: training goes on after epoch {note.epoch}")
        return note, tensors
    if damaged:
        STDOUT.warning("there is no other state: this training starts over")
    return None, {}


def _read(path: Path) -> tuple[_Note, dict[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        # Copy the tensors: Windows cannot replace a file that is still memory-mapped.
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    text = metadata["progress"]
    # Earlier versions wrote no hash; a damaged name of that entry must not pass for this.
    if metadata.keys() != {"progress"} and metadata.get("sha256") != _sha256(tensors, text):
        raise ValueError("its contents do not have the SHA-256 that it records")
    return build(_Note, plain_json(text), path=path, remedy="the state before it is taken"), tensors


def _sha256(tensors: dict[str, Tensor], text: str) -> str:
    """Hash of names, types, shapes and values of the tensors, and of the text."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
