"""A network as a program of torch.export (`.pt2`), for which there is no Python code to build it from."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from torchseg.trusted_code import check_trusted, sha256_of_bytes

BUILDER = "program"
_ENTRY = "program"


class ProgramNetwork(nn.Module):
    """Runs an exported program; its state dict holds the bytes of the program, weights included, and nothing else.

    Args:
        program: bytes of a `.pt2` file.
        what: the program and where it is, for the message.

    Raises:
        ValueError: if the program is not trusted: `torch.export.load` unpickles parts of it.
    """

    program: Tensor

    def __init__(self, program: bytes, *, what: str = "the program in this checkpoint") -> None:
        super().__init__()
        check_trusted(sha256_of_bytes(program), what=what)
        try:
            exported = torch.export.load(io.BytesIO(program))
            self.network = exported.module()
        except Exception as error:  # torch.export raises classes whose only common base is Exception
            raise ValueError(f"{what} is no program that this PyTorch can load: {error}") from error
        (images,) = exported.example_inputs[0] if exported.example_inputs else (None,)
        self.shape = tuple(images.shape) if isinstance(images, Tensor) else ()
        self.one_by_one = _has_fixed_batch(exported)
        self.register_buffer(_ENTRY, torch.frombuffer(bytearray(program), dtype=torch.uint8))
        self._register_state_dict_hook(_keep_program_alone)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_no_other_key_is_missing)  # type: ignore[no-untyped-call]

    def forward(self, images: Tensor) -> Any:
        """What the program returns for images `(B, C, H, W)`; one by one if it was exported for a batch of one."""
        if not self.one_by_one or len(images) == 1:
            return self.network(images)
        return _joined([self.network(image) for image in torch.split(images, 1)])

    def train(self, mode: bool = True) -> ProgramNetwork:
        """Sets the flag alone: a program was exported in one mode and stays in it."""
        self.training = mode
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ProgramNetwork:
        """Loads the program again: parts of an exported module cannot be copied."""
        return ProgramNetwork(self.program.cpu().numpy().tobytes())


def check_layers(builder: str, *, what: str) -> None:
    """Raises ValueError for a checkpoint that holds a program, which has no layers to compress or to train."""
    if builder == BUILDER:
        raise ValueError(
            f"{what} is a program without layers, which can be exported, scored and distilled from, but not compressed "
            "or trained; adopt its weights again with --model, and --code for a network of your own"
        )


def program_in(weights: dict[str, Tensor]) -> bytes:
    """Bytes of the program in the weights of a checkpoint; raises ValueError if there is none."""
    for name, tensor in weights.items():
        if name.rpartition(".")[2] == _ENTRY and tensor.dtype == torch.uint8:
            return bytes(tensor.numpy().tobytes())
    raise ValueError("the weights hold no program; adopt the network again")


def _has_fixed_batch(exported: Any) -> bool:
    placeholders = [node for node in exported.graph.nodes if node.op == "placeholder"]
    user = set(exported.graph_signature.user_inputs)
    shapes = [node.meta["val"].shape for node in placeholders if node.name in user]
    return bool(shapes and isinstance(shapes[0][0], int) and shapes[0][0] == 1)


def _joined(parts: list[Any]) -> Any:
    """Batches of one put together again, whatever they are nested in."""
    from torch.utils._pytree import tree_map

    join: Callable[..., Any] = lambda *tensors: torch.cat(tensors)  # noqa: E731
    return tree_map(join, *parts)


def _keep_program_alone(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    for name in [each for each in state if each.startswith(f"{prefix}network.")]:
        del state[name]


def _no_other_key_is_missing(module: nn.Module, incompatible: Any) -> None:
    own = {name for name, _ in cast(ProgramNetwork, module).network.state_dict().items()}
    incompatible.missing_keys[:] = [
        key for key in incompatible.missing_keys if not any(key.endswith(f"network.{name}") for name in own)
    ]
