"""The project's training loop without its pipeline, as timed by `training_speed.py` and `reading_speed.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from torchseg.data import Batch
from torchseg.models import build_model
from torchseg.spec import ImageSpec
from torchseg.train import MixedPrecision, TrainingPrecision, label_step, normalise
from torchseg.train.data_parallel import DataParallel, replica
from torchseg.train.threads import thread_pool


def data_parallel_training(
    name: str, arguments: dict[str, Any], spec: ImageSpec, threads: int, precision: TrainingPrecision
) -> Callable[[Iterable[Batch]], None]:
    """Builds a new network on the CPU with AdamW, and returns a function that trains it on the batches it is given.

    Args:
        name: of the builder.
        arguments: of the builder.
        spec: size, normalisation and classes of the images.
        threads: worker threads for the replicas; at most as many as PyTorch has.
        precision: number format of training.
    """
    network = build_model(name, arguments, spec).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    networks = [MixedPrecision(each, precision) for each in (network, replica(network))]
    step = label_step(ignore_index=spec.ignore_index)

    def loss(part: nn.Module, batch: Batch) -> Tensor:
        return step(part, normalise(batch.pictures, spec), batch)

    def learn(batches: Iterable[Batch]) -> None:
        with thread_pool(threads) as pool:
            replicas = DataParallel(networks, Tensor.backward, pool.map)
            for batch in batches:
                optimizer.zero_grad()
                replicas.learn(loss, batch)
                optimizer.step()

    return learn
