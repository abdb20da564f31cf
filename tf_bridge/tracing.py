"""Traces a network to a flat list of `aten` operators, from which every exporter starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tf_bridge.decompositions import decompositions
from tf_bridge.folded_norms import fold_transposed_norms
from tf_bridge.frozen_copy import frozen_copy
from tf_bridge.quiet import quiet
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram


def export_program(model: nn.Module, spec: ImageSpec) -> ExportedProgram:
    """Traces the network in eval mode on the CPU, at batch 1 and the size of `spec`; the model itself is not modified.

    Raises:
        ValueError: if a weight is not finite, or if the network returns anything but logits `(1, K, H, W)` or cannot be
            traced.
    """
    import torch

    image = torch.zeros(1, spec.channels, spec.height, spec.width)
    network = frozen_copy(model)
    check_logits(network, image, spec)
    return trace(network, image)


def check_logits(network: nn.Module, image: Tensor, spec: ImageSpec) -> None:
    """Checks that the network maps images `(B, C, H, W)` to logits `(B, K, H, W)` with the K of the spec.

    Raises:
        ValueError: if it does not; the message names both shapes.
    """
    import torch

    try:
        with torch.no_grad():
            logits = network(image)
    except Exception as error:  # the network may raise anything
        raise ValueError(
            f"the network does not run on images {tuple(image.shape)} ({first_line(error)}); give the image size and "
            "channels that it was made for"
        ) from error
    expected = (len(image), spec.num_classes, *image.shape[2:])
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != expected:
        raise ValueError(
            f"the network turns images {tuple(image.shape)} into {got}; expected logits {expected}: "
            "give the image spec it was trained with, and a network that returns one tensor of full size"
        )


def trace(network: nn.Module, image: Tensor, *, dynamic: Mapping[int, Any] | None = None) -> ExportedProgram:
    """Traces a network in eval mode.

    Args:
        network: see `frozen_copy`.
        image: `(B, C, H, W)`; the program takes images of exactly this shape.
        dynamic: dimensions of the image that may have other sizes, with their `torch.export.Dim`.

    Raises:
        ValueError: if PyTorch cannot trace the network's forward.
    """
    import torch

    try:
        with quiet(), torch.no_grad():
            exported = _exported(network, image, dynamic)
            program: ExportedProgram = exported.run_decompositions(dict(decompositions(exported.graph)))
    except Exception as error:  # torch.export raises classes whose only common base is Exception
        raise ValueError(
            f"PyTorch cannot trace the network ({first_line(error)}); "
            "make its forward free of branches that depend on pixels"
        ) from error
    return fold_transposed_norms(program)


def _exported(network: nn.Module, image: Tensor, dynamic: Mapping[int, Any] | None) -> ExportedProgram:
    import torch

    if not dynamic:
        return torch.export.export(network, (image,))
    try:
        return torch.export.export(network, (image,), dynamic_shapes=(dynamic,))
    except torch._dynamo.exc.UserError:  # a forward that takes int() of a size needs its Python code to be analysed
        return torch.export.export(network, (image,), dynamic_shapes=(dynamic,), strict=True)


def first_line(error: BaseException) -> str:
    """First line of an error's message, for messages that quote it; the name of its class if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
