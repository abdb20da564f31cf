"""Step functions, which compute the loss of a model on a batch: supervised training or distillation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor, nn

from torchseg.data import Batch
from torchseg.losses import SOFT_LOSSES, segmentation_loss

Step = Callable[[nn.Module, Tensor, Batch], Tensor]
"""Takes the network, normalised images `(B, C, H, W)` and their batch; returns a scalar loss."""
Loss = Callable[..., Tensor]
"""Called as `loss(logits, mask, ignore_index=...)`, like `segmentation_loss`."""

_ROOM_BYTES = 512 * 2**20


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """Settings of the distillation loss and of the teacher's cache.

    Attributes:
        temperature: softmax temperature for the logits of student and teacher, > 0.
        alpha: weight of the distillation loss, in [0, 1]; the loss on the labels has weight `1 - alpha`.
        views: random views of each image before the same views repeat, at least this many; repeated views reuse the
            stored logits of the teacher. 0 draws a new view every time.
        soft_loss: distillation loss, a key of `SOFT_LOSSES`.
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
    """Makes a step that learns from the true masks alone.

    Args:
        ignore_index: mask value whose pixels do not count.
        loss: the loss of logits and masks.
    """

    def step(model: nn.Module, images: Tensor, batch: Batch) -> Tensor:
        return loss(model(images), batch.masks, ignore_index=ignore_index)

    return step


def distill_step(
    teacher: Teacher, config: DistillationConfig, *, ignore_index: int, loss: Loss = segmentation_loss
) -> Step:
    """Makes a step that learns from the teacher's logits and from the masks.

    On labelled images, ignored pixels count in neither loss. On images without a mask every pixel counts, and the
    teacher's predicted classes replace the mask.

    Args:
        teacher: gives the target logits.
        config: temperature, weight and kind of the distillation loss.
        ignore_index: mask value whose pixels do not count.
        loss: the loss of logits and masks.
    """

    def step(model: nn.Module, images: Tensor, batch: Batch) -> Tensor:
        logits = model(images)
        teacher_logits = teacher(images, batch.seeds)
        valid = (batch.masks != ignore_index) | ~batch.labelled[:, None, None]
        soft = SOFT_LOSSES[config.soft_loss](logits, teacher_logits, temperature=config.temperature, valid=valid)
        if config.alpha == 1:
            return soft
        # With the teacher's classes as masks, the Dice term, which matters most for rare classes, sees the whole batch.
        masks = torch.where(
            batch.labelled[:, None, None], batch.masks, teacher_logits.argmax(dim=1).to(batch.masks.dtype)
        )
        hard = loss(logits, masks, ignore_index=ignore_index)
        return config.alpha * soft + (1 - config.alpha) * hard

    return step


class Teacher:
    """Computes a teacher's logits for batches, and caches them if batches repeat.

    A forward pass of the teacher costs more than a training step of a student ten times smaller.

    Args:
        network: put into eval mode; gets no gradient.
        caches_logits: whether to cache the logits, in float16.
        room_bytes: size of the cache; logits that do not fit are computed every time.
    """

    def __init__(self, network: nn.Module, *, caches_logits: bool = False, room_bytes: int = _ROOM_BYTES) -> None:
        self.network = network.eval().requires_grad_(False)
        self.caches_logits, self.room_bytes = caches_logits, room_bytes
        self._cache: dict[tuple[int, ...], Tensor] = {}
        self._lock = Lock()  # the micro-batches of a batch call the teacher in parallel

    @torch.no_grad()
    def __call__(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Logits `(B, K, H, W)` for images `(B, C, H, W)`; `seeds`, int64 `(B,)`, identify the views in the cache."""
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
