"""A trained network that others learn from."""

from __future__ import annotations

from threading import Lock

import torch
from torch import Tensor, nn

_ROOM_BYTES = 512 * 2**20


class Teacher:
    """Gives its opinion on batches, and remembers it where batches come again.

    Asking the teacher costs more than a step of a student ten times its junior.

    Args:
        network: is put into eval mode and gets no gradient.
        remembers: whether to keep the answers, in float16, as long as there is room.
        room_bytes: for answers; what finds none is asked every time.
    """

    def __init__(self, network: nn.Module, *, remembers: bool = False, room_bytes: int = _ROOM_BYTES) -> None:
        self.network = network.eval().requires_grad_(False)
        self.remembers, self.room_bytes = remembers, room_bytes
        self._known: dict[tuple[int, ...], Tensor] = {}
        self._lock = Lock()  # halves of a batch ask at the same time

    @torch.no_grad()
    def __call__(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Logits `(B, K, H, W)` of images `(B, C, H, W)` whose views have these seeds, int64 `(B,)`."""
        if not self.remembers:
            return self.network(images)  # type: ignore[no-any-return]
        key = tuple(seeds.tolist())
        if key in self._known:
            return self._known[key].float()
        opinion = self.network(images).half()
        with self._lock:
            if opinion.nbytes <= self.room_bytes:
                self.room_bytes -= opinion.nbytes
                self._known[key] = opinion
        return opinion.float()  # type: ignore[no-any-return]  # rounded the first time too: a resumed run is the same
