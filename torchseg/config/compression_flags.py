"""Flags for pruning and clustering the weights of a trained network. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torchseg.compression_defaults import (
    CLUSTER_PER,
    CLUSTER_START,
    CLUSTERS,
    PRUNE_BEGIN,
    PRUNE_END,
    PRUNE_FREQUENCY,
    PRUNE_MODE,
    SPARSITY,
)
from torchseg.config.training import check_epochs

_MOST = 256  # shared values: one byte can index that many


@dataclass(frozen=True, kw_only=True)
class CompressionFlags:
    """Flags for pruning (zero weights) and clustering (shared weight values).

    Attributes:
        sparsity: Share of weights set to zero, in [0, 1); 0 prunes nothing.
        clusters: Number of distinct nonzero values per output channel or tensor (see --cluster_per), 1 to 256; null
            skips clustering.
        prune_epochs: Epochs of gradual pruning, recovery included. Default: enough for 160 steps on scenes, 480
            otherwise.
        cluster_epochs: Epochs of training the shared values. Default: enough for 80 steps on scenes, 240 otherwise.
        prune_begin: Start of pruning: optimizer steps (20), epochs ('2 epochs') or a share of the pruning epochs (10%).
        prune_end: End of pruning, in the same units; the remaining epochs are recovery.
        prune_frequency: Interval between two mask updates: steps, epochs or a share. Default: at least 50 updates in
            all, or one per step if pruning is shorter.
        prune_mode: gradual, or one_shot: all at once at --prune_begin.
        prune_layers: Sparsity of single layers, in place of --sparsity, e.g. head=0,stem.0=0.4.
        prune_smallest: Keep the smallest layers dense, as many as hold at most this share of all weights; the other
            layers are pruned harder to make up for it.
        prune_exclude: Layers or blocks that stay dense, separated by commas.
        cluster_per: What shares one set of values: each output channel (channel), the whole weight tensor of a layer
            with a factor for each channel (scaled), or the whole tensor after its batch norm was folded (tensor).
            Scaled takes the fewest bytes in packed int8 files and needs more values, e.g. --clusters 11.
        cluster_start: How the initial values are found: optimal, density, linear or kmeans++.
        cluster_layers: Number of values of single layers, in place of --clusters, e.g. head=16.
        cluster_exclude: Layers or blocks that are not clustered, separated by commas.
    """

    sparsity: float = SPARSITY
    clusters: int | None = CLUSTERS
    prune_epochs: int = 0
    cluster_epochs: int = 0
    prune_begin: str = PRUNE_BEGIN
    prune_end: str = PRUNE_END
    prune_frequency: str = PRUNE_FREQUENCY
    prune_mode: Literal["gradual", "one_shot"] = PRUNE_MODE
    prune_layers: str = ""
    prune_smallest: float = field(default=0.02, metadata={"was": "prune_light"})
    prune_exclude: str = ""
    cluster_per: Literal["channel", "scaled", "tensor"] = CLUSTER_PER
    cluster_start: Literal["optimal", "density", "linear", "kmeans++"] = CLUSTER_START
    cluster_layers: str = ""
    cluster_exclude: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.sparsity < 1:
            raise ValueError(f"sparsity is {self.sparsity}; give a share in [0, 1), e.g. 0.6 for 60 %")
        if not 0 <= self.prune_smallest <= 0.5:
            raise ValueError(f"prune_smallest is {self.prune_smallest}; give a share in [0, 0.5], e.g. 0.02")
        if self.clusters is not None and not 1 <= self.clusters <= _MOST:
            raise ValueError(f"clusters is {self.clusters}; give 1 to {_MOST} values, or null to share none")
        check_epochs(prune_epochs=self.prune_epochs, cluster_epochs=self.cluster_epochs)
        _ = self.layer_sparsity, self.layer_clusters

    @property
    def layer_sparsity(self) -> dict[str, float]:
        """`prune_layers`, parsed: sparsity by layer name."""
        settings = _settings("prune_layers", self.prune_layers)
        for name, value in settings.items():
            if not 0 <= value < 1:
                raise ValueError(f"prune_layers gives {name} {value:g}; give a share of zeros in [0, 1), e.g. 0.4")
        return settings

    @property
    def layer_clusters(self) -> dict[str, int]:
        """`cluster_layers`, parsed: number of values by layer name."""
        settings = _settings("cluster_layers", self.cluster_layers)
        for name, value in settings.items():
            if not (value.is_integer() and 1 <= value <= _MOST):
                raise ValueError(f"cluster_layers gives {name} {value:g}; give a whole number of values, 1 to {_MOST}")
        return {name: int(value) for name, value in settings.items()}

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages that these flags request, in order."""
        return (*(["pruned"] if self.sparsity else []), *(["clustered"] if self.clusters else []))


def names(text: str) -> tuple[str, ...]:
    """Splits a comma-separated list and drops empty items."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _settings(flag: str, text: str) -> dict[str, float]:
    settings = {}
    for item in names(text):
        name, _, value = item.partition("=")
        try:
            settings[name.strip()] = float(value)
        except ValueError as error:
            raise ValueError(f"{flag} has '{item}'; give LAYER=NUMBER, separated by commas") from error
    return settings
