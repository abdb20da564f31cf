"""Training precision: float32, or mixed precision with bfloat16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from torchseg.train.depthwise import FastDepthwiseGradients

TrainingPrecision = Literal["fp32", "bf16"]


def choose_precision(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> TrainingPrecision:
    """Returns the precision asked for; `auto` becomes bf16 if the device computes in it natively, else fp32.

    bfloat16 works on every CPU, but a CPU without bfloat16 instructions emulates it: with AVX512 but without
    AVX512-BF16, the default teacher trained 2.5 times slower than in float32.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if _has_bf16(device) else "fp32"


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Private, and absent from some builds. The capability can also be lower than the CPU's: users can restrict it.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and bool(supported())


@contextmanager
def forward_context(precision: TrainingPrecision, device: torch.device) -> Iterator[None]:
    """Autocast for the operators inside, in the calling thread only; does nothing for fp32.

    Autocast's cache of cast weights is off because all threads of a process share it: a thread that leaves its context
    would clear the cache while another thread uses it.
    """
    mixed = precision == "bf16"
    gradients = FastDepthwiseGradients() if mixed and device.type == "cpu" else nullcontext()
    with torch.autocast(device.type, torch.bfloat16, enabled=mixed, cache_enabled=False), gradients:
        yield


class MixedPrecision(nn.Module):
    """Runs a network in the given precision; weights, logits and gradients stay float32.

    Args:
        network: the network; shared, not copied.
        precision: precision of its operators.
    """

    def __init__(self, network: nn.Module, precision: TrainingPrecision) -> None:
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`, float32, of images `(B, C, H, W)`."""
        with forward_context(self.precision, images.device):
            logits: Tensor = self.network(images)
        return logits.float()
