"""Compression of a trained network: pruning, clustering, channel pruning, and a ledger that counts the result."""

from torchseg.compress.batch_norm import fold_batch_norm
from torchseg.compress.channel_pruning import ChannelPruneConfig, ChannelPruned, prune_channels
from torchseg.compress.cluster import Clustering, cluster_weights, clustered_layers, strip_clustering
from torchseg.compress.codebook import ClusterConfig
from torchseg.compress.ledger import LedgerRow, check_ledger, flush_subnormals, ledger_row, model_ledger, total
from torchseg.compress.prune import PruneConfig, Pruning
from torchseg.compress.qat import Int8Simulation, fake_quantize
from torchseg.compress.resize import resize_layers
from torchseg.compress.sparsity_schedule import Schedule, ScheduleConfig, polynomial_decay

__all__ = [
    "ChannelPruneConfig",
    "ChannelPruned",
    "ClusterConfig",
    "Clustering",
    "Int8Simulation",
    "LedgerRow",
    "PruneConfig",
    "Pruning",
    "Schedule",
    "ScheduleConfig",
    "check_ledger",
    "cluster_weights",
    "clustered_layers",
    "fake_quantize",
    "flush_subnormals",
    "fold_batch_norm",
    "ledger_row",
    "model_ledger",
    "polynomial_decay",
    "prune_channels",
    "resize_layers",
    "strip_clustering",
    "total",
]
