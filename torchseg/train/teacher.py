"""The teacher of a distillation: logits for batches of images, cached if batches repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from torchseg.train.precision import MixedPrecision, TrainingPrecision

_CACHE_LIMIT_BYTES = 512 * 2**20


class Teacher:
    """Computes the logits that a student learns from.

    A forward pass of the teacher costs more than a training step of a student ten times smaller, so logits of batches
    that repeat are cached.

    Args:
        network: maps images `(B, C, H, W)` to logits `(B, K, H, W)`; put into eval mode, and gets no gradient.
        precision: of the network's operators.
        caches_logits: whether to cache the logits, in float16.
        limit_bytes: size of the cache; logits that do not fit are computed every time.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        precision: TrainingPrecision = "fp32",
        caches_logits: bool = False,
        limit_bytes: int = _CACHE_LIMIT_BYTES,
    ) -> None:
        self.network = MixedPrecision(network.eval().requires_grad_(False), precision)
        self.caches_logits, self.room_bytes = caches_logits, limit_bytes
        self._cache: dict[tuple[int, ...], Tensor] = {}

    def __call__(
        self, images: Tensor, seeds: Tensor, *, parts: int = 1, run: Callable[..., Iterable[Tensor]] = map
    ) -> Tensor:
        """Logits for a batch.

        Args:
            images: normalised, `(B, C, H, W)`.
            seeds: int64 `(B,)`; with the shape of the images they identify the batch in the cache.
            parts: number of pieces that the batch is computed in.
            run: calls a function on each of several arguments, like `map`; in parallel if it can.

        Returns:
            Logits `(B, K, H, W)`, float32.
        """
        key = (*images.shape, *seeds.tolist())
        if key in self._cache:
            return self._cache[key].float()
        logits = torch.cat(list(run(self._answer, images.chunk(parts))))
        if not self.caches_logits:
            return logits
        half = logits.half()
        if half.nbytes <= self.room_bytes:
            self.room_bytes -= half.nbytes
            self._cache[key] = half
        return half.float()  # rounded the first time too: a resumed run is the same

    @torch.no_grad()  # in the thread that computes: the mode belongs to a thread
    def _answer(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits
