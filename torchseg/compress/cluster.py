"""Weight clustering: makes weights share a few trainable values, and turns them back into plain weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from torchseg.compress.codebook import ClusterConfig
from torchseg.compress.layers import channel_rows, weight_layers
from torchseg.compress.weight_sharing import SharedValues


class Clustering:
    """Callback for training a clustered network; all its state is in the network itself."""

    can_checkpoint = True  # the weights are clustered at every step, so any of them may be the best checkpoint

    def __init__(self, config: ClusterConfig) -> None:
        self.config = config

    def after_step(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Reassigns weights to their nearest value every `reassign_every` steps; `step` counts optimizer steps done."""
        every = self.config.reassign_every
        if every and step and step % every == 0:
            for layer in _clustered(model).values():
                _shared(layer).reassign(_values(layer), layer)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns no state: values and codes are part of the network's state dict."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Ignores the state."""


def clustered_layers(model: nn.Module, config: ClusterConfig) -> dict[str, nn.Module]:
    """The layers to cluster, by name; raises ValueError for an unknown layer, or if none is left."""
    layers = weight_layers(model, op_types=config.op_types, exclude=config.exclude, named=config.layers)
    if not layers:
        raise ValueError(f"nothing to cluster: no layer of type {', '.join(config.op_types)} is left; exclude fewer")
    return layers


def cluster_weights(model: nn.Module, config: ClusterConfig) -> Clustering:
    """Clusters a network in place: each weight becomes a table of trainable values, and codes that index it.

    Create the optimizer afterwards, because the values replace the weights as parameters. If exported files are to stay
    clustered, fold batch norm first (`fold_batch_norm`), or cluster per channel or scaled.

    Args:
        model: afterwards, `model.parameters()` has values of shape `(1, k)` or `(C_out, k)` for each clustered layer.
        config: number of values, layers and method.

    Returns:
        The callback for the training loop.

    Raises:
        ValueError: for an unknown layer, a layer that is clustered already, or a weight that is not finite.
    """
    layers = clustered_layers(model, config)
    if already := sorted(set(layers) & set(_clustered(model))):
        raise ValueError(f"'{already[0]}' is clustered already; strip the clustering before you cluster again")
    for name, layer in layers.items():
        try:
            shared = SharedValues(layer, config, clusters=config.layers.get(name, config.clusters))
        except ValueError as error:
            raise ValueError(f"layer '{name}': {error}") from error
        # `unsafe` skips a check that the parameter has the weight's shape; here it deliberately has not.
        parametrize.register_parametrization(layer, "weight", shared, unsafe=True)
    return Clustering(config)


def strip_clustering(model: nn.Module) -> None:
    """Replaces the shared values of a network that `cluster_weights` prepared by plain weights, in place.

    Raises:
        ValueError: if nothing is clustered, or a layer has more than its number of values, lost zeros or is not finite;
            the network is then left unchanged.
    """
    layers = _clustered(model)
    if not layers:
        raise ValueError("the network has no clustered layer; prepare it with cluster_weights first")
    for name, layer in layers.items():
        _check(name, layer)
    for layer in layers.values():
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


@torch.no_grad()
def _check(name: str, layer: nn.Module) -> None:
    shared, weight = _shared(layer), cast(Tensor, layer.weight)
    if not weight.isfinite().all():
        raise ValueError(f"a shared value of '{name}' is not finite; train with a smaller learning rate")
    if revived := int((weight[shared.codes == 0] != 0).sum()):
        raise ValueError(f"{revived} zeros of '{name}' are no longer zero; this is a bug, please report it")
    per = shared.config.counted_per
    rows = weight.reshape(1, -1) if per == "tensor" else channel_rows(weight, layer)
    alive = [row[row != 0] if shared.config.preserve_sparsity else row for row in rows]
    if (most := max(row.unique().numel() for row in alive)) > shared.clusters:
        raise ValueError(f"'{name}' has {most} values per {per}, promised were {shared.clusters}")


def _clustered(model: nn.Module) -> dict[str, nn.Module]:
    return {
        name: module
        for name, module in model.named_modules()
        if parametrize.is_parametrized(module, "weight") and isinstance(module.parametrizations.weight[0], SharedValues)
    }


def _shared(layer: nn.Module) -> SharedValues:
    return cast(SharedValues, layer.parametrizations.weight[0])  # type: ignore[union-attr, index]


def _values(layer: nn.Module) -> Tensor:
    return cast(Tensor, layer.parametrizations.weight.original)  # type: ignore[union-attr]
