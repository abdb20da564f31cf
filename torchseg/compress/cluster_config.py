"""How many values the weights of a network share, and how these are found and trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torchseg.compress.codebook import STARTS, Start, check_clusters


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """How many values the weights share, and how these are found and trained.

    Attributes:
        clusters: values per tensor or output channel, 1 to 256; a kept zero is not one of them.
        per: what shares one set of values: a whole tensor, or each of its output channels.
        start: how the values are found: optimal, density, linear or kmeans++.
        preserve_sparsity: every zero stays zero and spends no value.
        gradient: of a value: the sum or the mean over its members.
        reassign_every: optimizer steps after which weights change over to a nearer value; 0: never.
        op_types: kinds of layers: Conv2d, ConvTranspose2d, Linear, or default for all of these.
        exclude: layers, or blocks of them, that keep their weights.
        layers: number of values of single layers that differ, by name.
        seed: of kmeans++.
    """

    clusters: int = 16
    per: Literal["tensor", "channel"] = "tensor"
    start: Start = "optimal"
    preserve_sparsity: bool = True
    gradient: Literal["sum", "mean"] = "sum"
    reassign_every: int = 50
    op_types: tuple[str, ...] = ("default",)
    exclude: tuple[str, ...] = ()
    layers: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        for clusters in (self.clusters, *self.layers.values()):
            check_clusters(clusters)
        for name, value, known in (
            ("per", self.per, ("tensor", "channel")),
            ("start", self.start, tuple(STARTS)),
            ("gradient", self.gradient, ("sum", "mean")),
        ):
            if value not in known:
                raise ValueError(f"{name} is '{value}'; choose from {', '.join(known)}")
        if self.reassign_every < 0:
            raise ValueError(f"reassign_every is {self.reassign_every}; give a number of steps, or 0 for never")
