"""A trained network on disk: its weights in `model.safetensors`, and `card.json`, which says how to build it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from torchseg.atomic_file import partial_file
from torchseg.compress.batch_norm import fold_batch_norm
from torchseg.compress.resize import resize_layers
from torchseg.modelfile.card import CARD, WEIGHTS, Card, read_card
from torchseg.modelfile.model_file import sha256_of
from torchseg.models import rebuild_model
from torchseg.models.external.outputs import FullSizeLogits, Outputs
from torchseg.models.external.program import BUILDER as PROGRAM
from torchseg.models.external.program import ProgramNetwork, program_in
from torchseg.processes.memory import total_memory
from torchseg.record import with_checksum
from torchseg.tensor_file import write_tensors

__all__ = [
    "CARD",
    "WEIGHTS",
    "Card",
    "code_copies",
    "load_checkpoint",
    "read_card",
    "save_checkpoint",
    "sha256_of",
]


_MEMORY_SHARE = 0.5  # of the memory of the machine or container, that the weights of a network may take


def save_checkpoint(model: nn.Module, card: Card, folder: Path) -> None:
    """Writes weights and card into `folder`, each file atomically."""
    weights = _own_memory({name: each.detach().cpu().contiguous() for name, each in model.state_dict().items()})
    with partial_file(folder / WEIGHTS) as partial:
        write_tensors(weights, partial)
        digest = sha256_of(partial)
    values = asdict(replace(card, weights_sha256=digest)) | {"spec": card.spec.to_dict()}
    text = json.dumps(with_checksum(values), indent=2) + "\n"
    with partial_file(folder / CARD) as partial:
        partial.write_text(text, encoding="utf-8")


def _own_memory(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, copied where a network uses one of them under two names: safetensors stores no such ties."""
    seen: set[int] = set()
    for name, tensor in weights.items():
        if tensor.numel() and tensor.untyped_storage().data_ptr() in seen:
            weights[name] = tensor.clone()
        seen.add(tensor.untyped_storage().data_ptr())
    return weights


def load_checkpoint(folder: Path) -> tuple[nn.Module, Card]:
    """Rebuilds the network that `save_checkpoint` wrote, in eval mode, on the CPU.

    Args:
        folder: the checkpoint folder, or one of the two files in it.

    Raises:
        ValueError: if a file is missing, damaged or changed, the weights do not fit the card, memory is too small, or
            the network needs code that the user has not trusted (`torchseg.trusted_code`).
    """
    folder = folder.parent if folder.name in (WEIGHTS, CARD) else folder
    card = read_card(folder)
    _check_weights(card, folder / WEIGHTS)
    _check_memory(card, folder / WEIGHTS)
    try:
        weights = load_file(folder / WEIGHTS)
        model = _rebuilt(card, weights, folder)
        if card.folded:
            fold_batch_norm(model.eval(), torch.zeros(1, card.spec.channels, card.spec.height, card.spec.width))
        if card.resized:
            resize_layers(model, weights)
        model.load_state_dict(weights)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{folder / WEIGHTS} does not hold the weights that {CARD} describes ({card.builder}); "
            f"train it again or copy both files from one run: {str(error).splitlines()[0]}"
        ) from error
    return model.eval(), card


def _check_weights(card: Card, path: Path) -> None:
    """Raises ValueError if the weights are not those that the card was written for."""
    if card.weights_sha256 and sha256_of(path) != card.weights_sha256:
        raise ValueError(
            f"{path} is damaged, or of another run than {CARD} beside it: its SHA-256 is not the recorded one, "
            f"{card.weights_sha256[:12]}...; train it again or copy both files from one run"
        )


def _check_memory(card: Card, path: Path) -> None:
    """Raises ValueError for a card whose network is far larger than the weights beside it, or than the memory."""
    if card.builder == PROGRAM or card.code:  # its size is that of its file, or it may build no tensors without storage
        return
    try:
        with torch.device("meta"):  # tensors without storage
            network = rebuild_model(card.builder, card.arguments, card.spec, outputs=card.outputs)
    except ValueError as error:
        raise ValueError(f"{path.parent / CARD} describes a network that cannot be built: {error}") from error
    needed = sum(tensor.nbytes for tensor in network.state_dict().values())
    stored, memory = path.stat().st_size, total_memory()
    if not card.resized and needed > 2 * stored + 2**20:
        raise ValueError(
            f"{path} has {stored} bytes, but the network of {CARD} beside it ({card.builder}) has {needed} bytes of "
            "weights; copy both files from one run"
        )
    if needed > _MEMORY_SHARE * memory:
        raise ValueError(
            f"the network of {path.parent / CARD} ({card.builder}) has {needed / 2**30:.1f} GiB of weights; this "
            f"machine loads up to {_MEMORY_SHARE:.0%} of its {memory / 2**30:.1f} GiB of memory: use a larger one"
        )


def _rebuilt(card: Card, weights: dict[str, Tensor], folder: Path) -> nn.Module:
    """The network that the card describes, before its weights are loaded."""
    if card.builder == PROGRAM:
        program = ProgramNetwork(program_in(weights), what=f"the program in {folder / WEIGHTS}")
        return FullSizeLogits(program, Outputs.from_dict(card.outputs))
    for name in code_copies(card):
        if (folder / name).is_file() and sha256_of(folder / name) != card.code["sha256"]:
            raise ValueError(
                f"{folder / name} is not the code that the network was adopted with; nothing of it has run. Adopt the "
                "network again with the new code, or delete that copy"
            )
    return rebuild_model(card.builder, card.arguments, card.spec, code=card.code, outputs=card.outputs)


def code_copies(card: Card) -> tuple[str, ...]:
    """Names of the files beside a card that show the code in it to readers."""
    return (card.code["file"],) if "source" in card.code else ()
