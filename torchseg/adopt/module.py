"""A network in memory as something to adopt: its weights, and what is known of how to build it again."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from torchseg.adopt.network import Source
from torchseg.adopt.weights_file import WeightsFile
from torchseg.models.external.code_file import Code
from torchseg.spec import ImageSpec
from torchseg.trusted_code import sha256_of_bytes, trust

_SMP_ARGUMENTS = "_hub_mixin_config"  # what a network of segmentation_models_pytorch was built with


def source_of_module(
    module: nn.Module, spec: ImageSpec, *, model: str = "", arguments: Mapping[str, Any], code: Code | None = None
) -> Source:
    """Takes the weights out of a network in memory; the network itself is not modified.

    Args:
        module: of any project.
        spec: images that it takes.
        model: what builds it again. Empty: a network of segmentation_models_pytorch says it itself; of any other, the
            program that `torch.export` makes of it is kept.
        arguments: of the builder.
        code: the user's own file that builds it.

    Raises:
        ValueError: if there is no `model`, and PyTorch cannot export the network.
    """
    network = copy.deepcopy(module).cpu().eval()
    config = dict(getattr(network, _SMP_ARGUMENTS, None) or {})
    if config:
        config["_model_class"] = type(network).__name__
    weights = WeightsFile(path=Path(type(network).__name__), tensors=network.state_dict(), config=config)
    builds_again = model or "encoder_name" in config
    program = None if builds_again else _exported(network, torch.zeros(1, spec.channels, spec.height, spec.width))
    return Source(weights=weights, model=model, arguments=arguments, code=code, program=program)


def _exported(network: nn.Module, images: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    try:
        torch.export.save(torch.export.export(network, (images,)), buffer)
    except Exception as error:  # torch.export raises classes whose only common base is Exception
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"PyTorch cannot export {type(network).__name__} ({reason}); give model, and code if it is your own, so "
            "that it can be built again"
        ) from error
    trust(sha256_of_bytes(buffer.getvalue()))
    return buffer.getvalue()
