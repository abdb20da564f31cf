"""Traces a network to a flat list of `aten` operators, from which every exporter starts."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from tf_bridge.quiet import quiet
from torchseg.spec import ImageSpec

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram


def export_program(model: nn.Module, spec: ImageSpec) -> ExportedProgram:
    """Traces the network in eval mode on the CPU, at batch 1 and the size of `spec`; the model itself is not modified.

    Raises:
        ValueError: if the network returns anything but logits `(1, K, H, W)`, or cannot be traced.
    """
    import torch

    image = torch.zeros(1, spec.channels, spec.height, spec.width)
    network = copy.deepcopy(model).cpu().float().eval()
    check_logits(network, image, spec)
    return trace(network, image)


def check_logits(network: nn.Module, image: Tensor, spec: ImageSpec) -> None:
    """Checks that the network maps images `(B, C, H, W)` to logits `(B, K, H, W)` with the K of the spec.

    Raises:
        ValueError: if it does not; the message names both shapes.
    """
    import torch

    with torch.no_grad():
        logits = network(image)
    expected = (len(image), spec.num_classes, *image.shape[2:])
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != expected:
        raise ValueError(
            f"the network turns images {tuple(image.shape)} into {got}; expected logits {expected}: "
            "give the image spec it was trained with, and a network that returns one tensor of full size"
        )


def trace(network: nn.Module, image: Tensor) -> ExportedProgram:
    """Traces a network in eval mode for images of exactly this shape, `(B, C, H, W)`.

    Raises:
        ValueError: if PyTorch cannot trace the network's forward.
    """
    import torch

    try:
        with quiet(), torch.no_grad():
            program: ExportedProgram = torch.export.export(network, (image,)).run_decompositions({})
    except Exception as error:  # torch.export raises classes whose only common base is Exception
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"PyTorch cannot trace the network ({reason}); make its forward free of branches that depend on pixels"
        ) from error
    return program
