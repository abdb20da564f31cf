"""Attention along the rows of maps of `CHANNELS` channels, of which a mask hides what comes later in a row."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.special_blocks import CHANNELS


def _later(count: int, fill: float) -> Tensor:
    """`fill` where a token is later than the one that attends, else 0; `(count, count)`."""
    return torch.zeros(count, count).masked_fill(torch.ones(count, count).triu(1).bool(), fill)


class MaskedAttention(nn.Module):
    """Attention with scores of a usual size, some units apart.

    Args:
        weigh: turns scores `(B, L, L)` into weights; else PyTorch's own attention with `mask`.
        mask: for PyTorch's own attention; None stands for its flag `is_causal`.
    """

    def __init__(
        self, weigh: Callable[[Tensor], Tensor] | None = None, mask: Callable[[int], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.qkv, self.weigh, self.mask = nn.Linear(CHANNELS, 3 * CHANNELS), weigh, mask

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(batch * height, width, channels)
        query, key, value = self.qkv(rows).chunk(3, dim=-1)
        query = 3 * query
        if self.weigh is not None:
            y = self.weigh(query @ key.transpose(1, 2) * channels**-0.5) @ value
        else:
            mask = None if self.mask is None else self.mask(width)
            y = functional.scaled_dot_product_attention(query, key, value, mask, is_causal=mask is None)
        return y.reshape(batch, height, width, channels).permute(0, 3, 1, 2)


def _added(fill: float) -> Callable[[Tensor], Tensor]:
    return lambda scores: (scores + _later(scores.shape[-1], fill)).softmax(-1)


def _filled(fill: float) -> Callable[[Tensor], Tensor]:
    return lambda scores: scores.masked_fill(_later(scores.shape[-1], -1) < 0, fill).softmax(-1)


def _with_biases(scores: Tensor) -> Tensor:
    """Biases that grow with the distance, as in ALiBi (arXiv:2108.12409), and the mask in one constant."""
    places = torch.arange(scores.shape[-1])
    return (scores + (places[None, :] - places[:, None]) / 8 + _later(scores.shape[-1], -1e4)).softmax(-1)


def _by_hand(scores: Tensor) -> Tensor:
    scores = scores + _later(scores.shape[-1], -1e4)
    powers = (scores - scores.amax(-1, keepdim=True)).exp()
    return powers / powers.sum(-1, keepdim=True)


MASKED_LAYERS: dict[str, Callable[[], nn.Module]] = {
    "mask of -1e4": lambda: MaskedAttention(_added(-1e4)),
    "mask of -inf": lambda: MaskedAttention(_added(float("-inf"))),
    "mask of the least number": lambda: MaskedAttention(_added(torch.finfo(torch.float32).min)),
    "scores filled with -inf": lambda: MaskedAttention(_filled(float("-inf"))),
    "mask with biases": lambda: MaskedAttention(_with_biases),
    "masked softmax by hand": lambda: MaskedAttention(_by_hand),
    "causal attention of PyTorch": lambda: MaskedAttention(),
    "attention of PyTorch with a mask of truth values": lambda: MaskedAttention(
        mask=lambda side: _later(side, -1) == 0
    ),
    "attention of PyTorch with a mask of -inf": lambda: MaskedAttention(mask=lambda side: _later(side, float("-inf"))),
}
