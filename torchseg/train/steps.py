"""What makes the one training loop train with labels or distil: a function from model and batch to a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor, nn

from torchseg.data import Batch
from torchseg.losses import SOFT_LOSSES, segmentation_loss

Step = Callable[[nn.Module, Tensor, Batch], Tensor]
"""Takes the network, normalised images `(B, C, H, W)` and their batch; gives a scalar loss."""
Loss = Callable[..., Tensor]
"""Called as `loss(logits, mask, ignore_index=...)`, like `segmentation_loss`."""

_ROOM_BYTES = 512 * 2**20


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """How a student listens to its teacher.

    Attributes:
        temperature: softening of both opinions, > 0.
        alpha: share of the teacher's teacher_logits in the loss; the labels have the rest.
        views: random views of each picture, at least so many, which then come again, so that the teacher need not be
            asked again; 0 for a new view every time.
        soft_loss: how the two opinions are compared, a key of `SOFT_LOSSES`.
    """

    temperature: float = 1.0
    alpha: float = 0.5
    views: int = 0
    soft_loss: str = "mean"

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature is {self.temperature}; give a positive number, e.g. 1 or 4")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}; give a share in [0, 1], e.g. 0.8")
        if self.views < 0:
            raise ValueError(f"views is {self.views}; give 0 for a new view every time, or a number of views, e.g. 2")
        if self.soft_loss not in SOFT_LOSSES:
            raise ValueError(f"soft_loss is '{self.soft_loss}'; choose from {', '.join(SOFT_LOSSES)}")


def label_step(*, ignore_index: int, loss: Loss = segmentation_loss) -> Step:
    """Learns from the true masks alone."""

    def step(model: nn.Module, images: Tensor, batch: Batch) -> Tensor:
        return loss(model(images), batch.masks, ignore_index=ignore_index)

    return step


def distill_step(
    teacher: Teacher, config: DistillationConfig, *, ignore_index: int, loss: Loss = segmentation_loss
) -> Step:
    """Learns from the teacher's teacher_logits and from the masks, where there are any.

    On labelled pictures the ignored pixels are left out of both. On pictures without a mask every pixel counts, and the
    teacher's classes stand in for the mask.
    """

    def step(model: nn.Module, images: Tensor, batch: Batch) -> Tensor:
        logits = model(images)
        teacher_logits = teacher(images, batch.seeds)
        valid = (batch.masks != ignore_index) | ~batch.labelled[:, None, None]
        soft = SOFT_LOSSES[config.soft_loss](logits, teacher_logits, temperature=config.temperature, valid=valid)
        if config.alpha == 1:
            return soft
        # The Dice term, which carries the rare classes, then sees the whole batch and not the labelled half of it.
        masks = torch.where(
            batch.labelled[:, None, None], batch.masks, teacher_logits.argmax(dim=1).to(batch.masks.dtype)
        )
        hard = loss(logits, masks, ignore_index=ignore_index)
        return config.alpha * soft + (1 - config.alpha) * hard

    return step


class Teacher:
    """Gives its teacher_logits on batches, and caches_logits it where batches come again.

    Asking the teacher costs more than a step of a student ten times its junior.

    Args:
        network: is put into eval mode and gets no gradient.
        caches_logits: whether to keep the answers, in float16, as long as there is room.
        room_bytes: for answers; what finds none is asked every time.
    """

    def __init__(self, network: nn.Module, *, caches_logits: bool = False, room_bytes: int = _ROOM_BYTES) -> None:
        self.network = network.eval().requires_grad_(False)
        self.caches_logits, self.room_bytes = caches_logits, room_bytes
        self._cache: dict[tuple[int, ...], Tensor] = {}
        self._lock = Lock()  # halves of a batch ask at the same time

    @torch.no_grad()
    def __call__(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Logits `(B, K, H, W)` of images `(B, C, H, W)` whose views have these seeds, int64 `(B,)`."""
        if not self.caches_logits:
            return self.network(images)  # type: ignore[no-any-return]
        key = tuple(seeds.tolist())
        if key in self._cache:
            return self._cache[key].float()
        teacher_logits = self.network(images).half()
        with self._lock:
            if teacher_logits.nbytes <= self.room_bytes:
                self.room_bytes -= teacher_logits.nbytes
                self._cache[key] = teacher_logits
        return teacher_logits.float()  # type: ignore[no-any-return]  # rounded the first time too: a resumed run is the same
