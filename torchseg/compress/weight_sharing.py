"""Parametrization of a weight whose elements share a few trainable values."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from torchseg.compress.codebook import WORK, ClusterConfig, cluster_values
from torchseg.compress.layers import channel_rows, from_channel_rows
from torchseg.compress.scaled_values import scaled_values


class SharedValues(nn.Module):
    """Parametrization of a layer's weight by a table of values; each element of the weight is a look-up in the table.

    The trainable parameter is the table, `(R, k)`, where R is 1 or the number of output channels. The buffer `codes`,
    shaped like the weight, holds the index of each element's value; code 0 is a zero that stays zero. The buffer
    `offsets` keeps the distance of each element from its value, so that elements can be reassigned when training has
    moved another value nearer to them. With `per` scaled, the buffer `factors`, shaped like the weight, multiplies what
    was looked up. It holds one factor per output channel and is not trained: the norm behind a layer is.
    """

    codes: Tensor
    offsets: Tensor
    members: Tensor
    factors: Tensor | None

    def __init__(self, layer: nn.Module, config: ClusterConfig, *, clusters: int) -> None:
        """Clusters the weight of a layer; raises ValueError if an element is not finite."""
        super().__init__()
        weight = cast(Tensor, layer.weight).detach()
        self.clusters, self.config = clusters, config
        self.register_buffer("factors", None)
        self.initial = self._initial(weight, layer)  # (R, k)
        self.register_buffer("codes", torch.zeros_like(weight, dtype=torch.int32))
        self.register_buffer("offsets", torch.zeros_like(weight))
        self.register_buffer("members", torch.ones(self.initial.numel() + 1, device=weight.device))
        zeros = (weight == 0) & config.preserve_sparsity
        self._assign(self.initial, weight if self.factors is None else weight / self.factors, zeros, layer)

    def forward(self, values: Tensor) -> Tensor:
        """Looks up the weight from values `(R, k)`; a value's gradient is the sum or mean of its members' gradients."""
        found = self._look_up(values)
        return found if self.factors is None else found * self.factors

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Initial values `(R, k)`; PyTorch calls this once, when the parametrization is registered."""
        return self.initial.clone()

    @torch.no_grad()
    def reassign(self, values: Tensor, layer: nn.Module) -> int:
        """Reassigns every element (its value plus its offset) to the nearest value; returns how many changed."""
        before = self.codes.clone()
        wanted = self._look_up(values) + self.offsets
        self._assign(values.detach(), wanted, self.codes == 0, layer)
        return int((self.codes != before).sum())

    def _initial(self, weight: Tensor, layer: nn.Module) -> Tensor:
        """The values `(R, k)` to begin with; sets the factors if there are any."""
        if self.config.per != "scaled":
            return _values_by_row(self._rows(weight, layer), self.config, clusters=self.clusters)
        rows = channel_rows(weight, layer)
        values, factors = scaled_values(rows.float().cpu().numpy(), self.config, clusters=self.clusters)
        factor = torch.from_numpy(factors).to(weight.device, weight.dtype).expand(rows.shape)
        self.factors = from_channel_rows(factor, layer, tuple(weight.shape)).clone()
        return torch.from_numpy(values)[None].to(weight.device, weight.dtype)

    def _look_up(self, values: Tensor) -> Tensor:
        share = self.members if self.config.gradient == "mean" else torch.ones_like(self.members)
        return cast(Tensor, _Lookup.apply(values, self.codes, share))  # type: ignore[no-untyped-call]

    def _assign(self, values: Tensor, weight: Tensor, zeros: Tensor, layer: nn.Module) -> None:
        """Sets codes, offsets and member counts; `zeros` get code 0. `weight` is divided by the factors already."""
        rows = self._rows(weight, layer).contiguous()  # (R, N)
        ordered, order = values.sort(dim=1)
        borders = (ordered[:, 1:] + ordered[:, :-1]) / 2
        own = order.gather(1, torch.searchsorted(borders, rows))
        first = torch.arange(len(values), device=rows.device)[:, None] * values.shape[1]
        codes, offsets = 1 + first + own, rows - values.gather(1, own)
        if self.config.per == "channel":
            shape = tuple(weight.shape)
            codes, offsets = (from_channel_rows(found, layer, shape) for found in (codes, offsets))
        self.codes.copy_(codes.reshape(weight.shape).masked_fill(zeros, 0))
        self.offsets.copy_(offsets.reshape(weight.shape).masked_fill(zeros, 0.0))
        self.members.copy_(torch.bincount(self.codes.flatten(), minlength=len(self.members)).clamp(min=1))

    def _rows(self, weight: Tensor, layer: nn.Module) -> Tensor:
        return channel_rows(weight, layer) if self.config.per == "channel" else weight.reshape(1, -1)


class _Lookup(torch.autograd.Function):
    """Table look-up whose backward sums in double precision, and on a CPU in a fixed order."""

    @staticmethod
    def forward(context: Any, values: Tensor, codes: Tensor, share: Tensor) -> Tensor:
        context.save_for_backward(codes, share)
        context.shape, context.dtype = values.shape, values.dtype
        return torch.cat([values.new_zeros(1), values.flatten()])[codes]

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        codes, share = context.saved_tensors
        each = gradients[0].double().flatten()
        total = torch.bincount(codes.flatten(), weights=each, minlength=len(share))
        return (total / share)[1:].to(context.dtype).reshape(context.shape), None, None


def _values_by_row(rows: Tensor, config: ClusterConfig, *, clusters: int) -> Tensor:
    """Values `(R, k)`, ascending per row; a row that needs fewer repeats its last one, an all-zero row has zeros."""
    numbers = rows.float().cpu().numpy()
    values = np.zeros((len(numbers), clusters), np.float32)
    work = WORK if len(numbers) == 1 else 2 * WORK // len(numbers)
    for row, own in zip(numbers, values, strict=True):
        alive = row[row != 0] if config.preserve_sparsity else row
        if len(alive):
            found = cluster_values(alive, clusters, start=config.start, seed=config.seed, work=work)
            own[:] = np.append(found, np.full(clusters - len(found), found[-1]))
    return torch.from_numpy(values).to(rows.device, rows.dtype)
