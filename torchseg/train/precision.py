"""In which arithmetic a network trains."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import Tensor, nn

TrainingPrecision = Literal["fp32", "bf16"]


def choose_precision(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> TrainingPrecision:
    """The precision asked for; `auto` is bfloat16 where the device computes in it, else float32.

    bfloat16 works on every processor, but one without such instructions emulates it: on an AVX512 processor without
    AVX512-BF16 the default teacher trained 2.5 times slower than in float32.
    """
    if wanted != "auto":
        return wanted
    return "bf16" if _has_bf16(device) else "fp32"


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Private, and absent from some builds; the environment may also hold PyTorch back from AVX512 that is there.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and bool(supported())


def forward_context(precision: TrainingPrecision, device: torch.device) -> AbstractContextManager[object]:
    """Mixed precision for the operators inside, in this thread alone.

    The cache of casted weights is one for all threads of a process, so it is off: a thread that leaves its context
    would empty it under another one's hands.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)


class MixedPrecision(nn.Module):
    """Runs a network in the given precision; weights, logits and gradients stay float32.

    Args:
        network: shared, not copied.
        precision: of its operators.
    """

    def __init__(self, network: nn.Module, precision: TrainingPrecision) -> None:
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, images: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`, float32, of images `(B, C, H, W)`."""
        with forward_context(self.precision, images.device):
            logits: Tensor = self.network(images)
        return logits.float()
