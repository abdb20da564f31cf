"""Few shared values instead of many weights: prepares a network, trains the values, and puts plain weights back."""

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
    """What a training loop calls beside a clustered network; all state lies in the network itself."""

    can_checkpoint = True  # the promise holds at every step, so any weights may be kept as the best

    def __init__(self, config: ClusterConfig) -> None:
        self.config = config

    def after_step(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Lets weights change over to a nearer value, now and then; `step` counts optimizer steps done."""
        every = self.config.reassign_every
        if every and step and step % every == 0:
            for layer in _clustered(model).values():
                _shared(layer).reassign(_values(layer), layer)

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing: values and codes are part of the network's own state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes what `state_dict` gave."""


def clustered_layers(model: nn.Module, config: ClusterConfig) -> dict[str, nn.Module]:
    """The layers whose weights are to share values; raises ValueError for an unknown one, or if none is left."""
    layers = weight_layers(model, op_types=config.op_types, exclude=config.exclude, named=config.layers)
    if not layers:
        raise ValueError(f"nothing to cluster: no layer of type {', '.join(config.op_types)} is left; exclude fewer")
    return layers


def cluster_weights(model: nn.Module, config: ClusterConfig) -> Clustering:
    """Prepares a network in place: each weight becomes a table of trainable values and fixed codes.

    Make the optimizer afterwards: the values have another shape than the weight they replace. Fold batch norm first
    if an exported file is to keep the promise (`fold_batch_norm`), or cluster per channel.

    Args:
        model: `model.parameters()` has the values afterwards, `(1, k)` or `(C_out, k)` for each layer.
        config: how many, where and how.

    Returns:
        What the training loop calls after each step.

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
        # PyTorch's own check refuses a parameter of another shape than the weight, which is the point here.
        parametrize.register_parametrization(layer, "weight", shared, unsafe=True)
    return Clustering(config)


def strip_clustering(model: nn.Module, *, validate: bool = True) -> None:
    """Puts plain weights back in place and checks the promise.

    Args:
        model: what `cluster_weights` prepared.
        validate: check that each layer has at most its number of values, lost no zero and is finite.

    Raises:
        ValueError: if nothing is clustered, or a promise is broken; the network is then left as it was.
    """
    layers = _clustered(model)
    if not layers:
        raise ValueError("the network has no clustered layer; prepare it with cluster_weights first")
    if validate:
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
    rows = channel_rows(weight, layer) if shared.config.per == "channel" else weight.reshape(1, -1)
    alive = [row[row != 0] if shared.config.preserve_sparsity else row for row in rows]
    if (most := max(row.unique().numel() for row in alive)) > shared.clusters:
        raise ValueError(f"'{name}' has {most} values per {shared.config.per}, promised were {shared.clusters}")


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
