"""Defaults of pruning and clustering: the flags of the commands and the configs of the library take them from here.

`torchseg.config` must not import PyTorch, and `torchseg.compress` must not know the flags, so both import this module.
"""

from __future__ import annotations

from typing import Final

SPARSITY: Final = 0.6  # share of zeros
PRUNE_MODE: Final = "gradual"
PRUNE_BEGIN: Final = "0"
PRUNE_END: Final = "60%"
PRUNE_FREQUENCY: Final = ""  # at least 50 updates
CLUSTERS: Final = 6  # distinct nonzero values
CLUSTER_PER: Final = "channel"
CLUSTER_START: Final = "optimal"
CHANNEL_IMPORTANCE: Final = "magnitude"
