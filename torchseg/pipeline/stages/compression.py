"""The stages that compress a network's weights: pruning, then clustering, each with recovery training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from torchseg.checkpoint import WEIGHTS, Card, load_checkpoint, sha256_of
from torchseg.compress import (
    ClusterConfig,
    LedgerRow,
    PruneConfig,
    Pruning,
    ScheduleConfig,
    check_ledger,
    cluster_weights,
    clustered_layers,
    flush_subnormals,
    fold_batch_norm,
    model_ledger,
    strip_clustering,
)
from torchseg.compress.layers import carried_sparsity, smallest_layers, weight_layers
from torchseg.config.compression_flags import CompressionFlags, names
from torchseg.console import STDOUT
from torchseg.models import arguments_of, fold_branches
from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.run.installed import OPTIMAL, check_installed
from torchseg.pipeline.stages.ledger import LedgerError
from torchseg.pipeline.stages.lengths import DefaultFor, Lengths
from torchseg.pipeline.stages.training import Trainer
from torchseg.pipeline.stages.training_plan import Start, Supervision, TrainingPlan
from torchseg.train import FitConfig

ORDER = ("pruned", "clustered")
# Optimizer steps if the user gives no epochs (by whether the images are generated), and shares of the learning rate.
PRUNE_STEPS = DefaultFor(scenes=160, photos=480)
CLUSTER_STEPS = DefaultFor(scenes=80, photos=240)
_PRUNE_RATE = 1.0
_CLUSTER_RATE = 0.3


@dataclass(frozen=True)
class Compressor:
    """Makes the compression stages of one run.

    Attributes:
        trainer: of the run.
        flags: the compression asked for.
        recovery: what the compressed networks learn from.
        untrained: builds the network as it was before its training: pruning then starts from there. Default: it starts
            from the trained network.
    """

    trainer: Trainer
    flags: CompressionFlags
    recovery: Supervision
    untrained: Callable[[], nn.Module] | None = None

    def stages(self, checkpoint: Path) -> Iterator[Stage]:
        """The stages that the flags ask for, starting from this checkpoint; run each before taking the next."""
        if self.flags.sparsity:
            yield self.pruned(checkpoint)
            checkpoint = self.trainer.folder.path / "pruned"
        if self.flags.clusters:
            yield self.clustered(checkpoint)

    def pruned(self, checkpoint: Path) -> Stage:
        """Prunes by a polynomial schedule, then trains on with the zeros fixed."""
        config = _prune_config(self.flags, _open(checkpoint, "pruned")[0])
        epochs = prune_epochs(self.trainer, self.flags)

        def start(steps_per_epoch: int) -> Start:
            network, card = _open(checkpoint, "pruned")
            if self.untrained:
                network, card = unbranched(self.untrained().eval(), replace(card, parents={}))
            callback = Pruning(network, config, epochs=epochs, steps_per_epoch=steps_per_epoch)
            STDOUT.info(f"{callback.describe()}\n  stay dense: {', '.join(config.exclude) or 'none'}")
            return Start(network=network, card=card, callback=callback)

        def finish(network: nn.Module, card: Card) -> Card:
            flush_subnormals(network)
            losses = _missed_targets(network, config) + check_ledger(_ledger_of(checkpoint), model_ledger(network))
            return _kept(card, losses)

        fit_config = self.trainer.fit_config(epochs, learning_rate=_PRUNE_RATE * self.trainer.config.rate)
        settings = asdict(config) | ({"from": "initial weights"} if self.untrained else {})
        return self._stage("pruned", checkpoint, fit_config, start, finish, settings)

    def clustered(self, checkpoint: Path) -> Stage:
        """Clusters the weights, trains the shared values, and writes them back as plain weights."""
        config = _cluster_config(self.flags)

        def start(_: int) -> Start:
            network, card = _open(checkpoint, "clustered")
            if config.per == "tensor":  # folded in later, batch norm would scale the shared values of each channel
                network, card = folded(network, card)
            return Start(network=network, card=card, callback=cluster_weights(network, config))

        def finish(network: nn.Module, card: Card) -> Card:
            strip_clustering(network)
            flush_subnormals(network)
            return _kept(card, check_ledger(_ledger_of(checkpoint), model_ledger(network), per=config.counted_per))

        epochs = cluster_epochs(self.trainer, self.flags)
        fit_config = self.trainer.fit_config(epochs, learning_rate=_CLUSTER_RATE * self.trainer.config.rate)
        return self._stage("clustered", checkpoint, fit_config, start, finish, asdict(config))

    def _stage(
        self,
        stage: str,
        checkpoint: Path,
        fit_config: FitConfig,
        start: Callable[[int], Start],
        finish: Callable[[nn.Module, Card], Card],
        settings: Mapping[str, Any],
    ) -> Stage:
        inputs = {"from": sha256_of(checkpoint / WEIGHTS), "settings": settings}
        training_plan = TrainingPlan(
            stage=stage,
            fit_config=fit_config,
            start=start,
            supervision=self.recovery,
            inputs=inputs,
            finish=finish,
            seed_offset=1 + ORDER.index(stage),
        )
        return self.trainer.stage(training_plan)


def prune_epochs(lengths: Lengths, flags: CompressionFlags) -> int:
    """Epochs of the pruning stage."""
    return lengths.epochs(flags.prune_epochs, steps=PRUNE_STEPS)


def cluster_epochs(lengths: Lengths, flags: CompressionFlags) -> int:
    """Epochs of the clustering stage."""
    return lengths.epochs(flags.cluster_epochs, steps=CLUSTER_STEPS)


def check_compression(network: nn.Module, card: Card, flags: CompressionFlags, lengths: Lengths) -> None:
    """Checks, before any training starts, that this network and these epochs allow the compression asked for.

    Args:
        network: in eval mode.
        card: of the network.
        flags: the compression asked for.
        lengths: epochs and steps of the run.

    Raises:
        ValueError: for an unknown layer, or a schedule that cannot reach its target.
        ImportError: if a package that pruning or clustering needs is not installed.
    """
    network, card = unbranched(copy.deepcopy(network), card)
    if flags.sparsity:
        epochs = prune_epochs(lengths, flags)
        Pruning(network, _prune_config(flags, network), epochs=epochs, steps_per_epoch=lengths.steps_per_epoch)
    if flags.clusters:
        config = _cluster_config(flags)
        if config.start == "optimal":
            check_installed(OPTIMAL)
        clustered_layers(network, config)
        if config.per == "tensor":
            folded(network, card)


def _prune_config(flags: CompressionFlags, network: nn.Module) -> PruneConfig:
    """The pruning config for this network: the smallest layers stay dense, and the others take over their zeros."""
    schedule = ScheduleConfig(
        mode=flags.prune_mode, begin=flags.prune_begin, end=flags.prune_end, frequency=flags.prune_frequency
    )
    exclude, layers = names(flags.prune_exclude), flags.layer_sparsity
    pruned = weight_layers(network, exclude=exclude, named=layers)
    shared = {name: layer for name, layer in pruned.items() if name not in layers}
    light = smallest_layers(shared, share=flags.prune_smallest)
    sparsity = carried_sparsity(shared, light, sparsity=flags.sparsity)
    if sparsity >= 1:  # the other layers have too few weights to take over those zeros
        light, sparsity = (), flags.sparsity
    return PruneConfig(sparsity=sparsity, exclude=(*exclude, *light), layers=layers, schedule=schedule)


def _cluster_config(flags: CompressionFlags) -> ClusterConfig:
    return ClusterConfig(
        clusters=flags.clusters or 1,
        per=flags.cluster_per,
        start=flags.cluster_start,
        exclude=names(flags.cluster_exclude),
        layers=flags.layer_clusters,
    )


def _open(checkpoint: Path, stage: str) -> tuple[nn.Module, Card]:
    """The network, and the card that its checkpoint will have after this stage."""
    network, card = unbranched(*load_checkpoint(checkpoint))
    return network, replace(card, stage=stage, parents={card.stage: sha256_of(checkpoint / WEIGHTS)})


def _ledger_of(checkpoint: Path) -> list[LedgerRow]:
    return model_ledger(load_checkpoint(checkpoint)[0])


def _missed_targets(network: nn.Module, config: PruneConfig) -> list[str]:
    """Layers that miss their planned number of zeros by more than one weight."""
    targets = {f"{name}.weight": share for name, share in config.layers.items()}
    pruned = {f"{name}.weight" for name in weight_layers(network, exclude=config.exclude)}
    missed = []
    for row in model_ledger(network):
        target = targets.get(row.tensor, config.sparsity)
        if row.tensor in pruned and row.zeros < int(target * row.parameters) - 1:
            missed.append(f"{row.tensor} has {row.sparsity:.2%} zeros, planned were {target:.2%}")
    return missed


def _kept(card: Card, losses: list[str]) -> Card:
    if losses:
        raise LedgerError(f"stage {card.stage} did not keep its promise: {'; '.join(losses)}")
    return card


def folded(network: nn.Module, card: Card) -> tuple[nn.Module, Card]:
    """A copy with batch norm folded into the convolutions, and the card that builds it.

    Args:
        network: in eval mode; not modified.
        card: of the network.

    Raises:
        ValueError: if a batch norm cannot be folded.
    """
    plain = copy.deepcopy(network)
    if not fold_batch_norm(plain, torch.zeros(1, card.spec.channels, card.spec.height, card.spec.width)):
        return plain, card
    if "batch_norm" in arguments_of(card.builder):
        return plain, replace(card, arguments={**card.arguments, "batch_norm": False})
    return plain, replace(card, folded=True)


def unbranched(network: nn.Module, card: Card) -> tuple[nn.Module, Card]:
    """Merges parallel branches in place, and returns the card that builds the merged network.

    Compression starts from the merged network because model files hold only the sum of the branches: zeros and shared
    values of a single branch would be lost in it.
    """
    if not fold_branches(network):
        return network, card
    return network, replace(card, arguments={**card.arguments, "layers": "plain"})
