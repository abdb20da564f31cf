"""Turns what a network of another project returns into logits `(B, K, H, W)` at the size of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast

from torch import Tensor, nn
from torch.nn import functional

from torchseg.models.unet import check_size

Activation = Literal["none", "softmax", "sigmoid"]
_SMALLEST = 1e-7  # probability; its logarithm is -16


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a network returns, and how that becomes logits.

    Attributes:
        stride: image sizes that the network takes are multiples of it.
        select: names or indices that lead to the logits in what it returns; empty if it returns them alone.
        channels: of its output; 1 is one logit z per pixel, which becomes the two logits (0, z).
        scale: image size divided by output size; above 1, logits are resized bilinearly to the size of the image.
        activation: what the network applies to its logits at the end; it is undone.
        last: name of the layer that applies it, which is taken out; empty if it is no layer: then logits are the
            logarithms of the probabilities.
    """

    stride: int
    channels: int
    select: tuple[str | int, ...] = ()
    scale: int = 1
    activation: Activation = "none"
    last: str = ""

    @property
    def are_logits(self) -> bool:
        """Whether the network returns full-size logits, so that only the image size needs a check."""
        return not self.select and self.scale == 1 and self.activation == "none" and self.channels > 1

    def to_dict(self) -> dict[str, Any]:
        """Values that JSON can hold."""
        return asdict(self) | {"select": list(self.select)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outputs:
        """Rebuilds the value from the output of `to_dict`; raises ValueError for anything else."""
        if set(values) != {field.name for field in fields(cls)}:
            raise ValueError(f"the outputs in the card have the entries {', '.join(values)}; adopt the network again")
        return cls(**{**values, "select": tuple(values["select"])})

    def describe(self) -> list[str]:
        """What is done to the outputs, one sentence each; empty if nothing is."""
        said = []
        if self.select:
            said.append(
                f"logits are output {'.'.join(map(str, self.select))} of the network; other outputs are dropped"
            )
        if self.activation != "none":
            how = f"its layer '{self.last}' is taken out" if self.last else "logits are the logarithms of its outputs"
            said.append(f"the network ends in a {self.activation}; {how}")
        if self.channels == 1:
            said.append("its one logit z becomes the logits (0, z), whose softmax is the sigmoid of z")
        if self.scale > 1:
            said.append(f"logits are 1/{self.scale} of the image's size and resized bilinearly inside the network")
        return said


class FullSizeLogits(nn.Module):
    """Wraps a network so that it maps images `(B, C, H, W)` to logits `(B, K, H, W)`.

    Args:
        network: of any project; its state dict keeps its names behind `network.`.
        outputs: what it returns.
    """

    def __init__(self, network: nn.Module, outputs: Outputs) -> None:
        super().__init__()
        if outputs.last:
            _take_out(network, outputs.last)
        self.network = network
        self.outputs = outputs
        self.stride = outputs.stride

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`; raises ValueError if H or W is not a multiple of `stride`."""
        check_size(int(images.shape[2]), int(images.shape[3]), stride=self.stride)
        scores = selected(self.network(images), self.outputs.select)
        if self.outputs.activation != "none" and not self.outputs.last:
            scores = _logits_of(scores, self.outputs)
        if self.outputs.scale > 1:
            size = (int(images.shape[2]), int(images.shape[3]))
            scores = functional.interpolate(scores, size=size, mode="bilinear", align_corners=False)
        if self.outputs.channels == 1:
            scores = functional.pad(scores, (0, 0, 0, 0, 1, 0))  # (B, 2, H, W), a channel of zeros first
        return scores


def selected(returned: Any, select: tuple[str | int, ...]) -> Tensor:
    """The tensor that these names and indices lead to."""
    for step in select:
        named = isinstance(step, str) and not isinstance(returned, Mapping)  # a data class or a named tuple
        returned = getattr(returned, str(step)) if named else returned[step]
    return cast(Tensor, returned)


def _logits_of(scores: Tensor, outputs: Outputs) -> Tensor:
    """Logarithms of probabilities; for a sigmoid the logit of each."""
    logs = scores.clamp_min(_SMALLEST).log()
    return logs if outputs.activation == "softmax" else logs - (1 - scores).clamp_min(_SMALLEST).log()


def _take_out(network: nn.Module, name: str) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())
