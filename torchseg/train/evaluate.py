"""Mean IoU and loss of a network on held-out samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from torchseg.data import Samples
from torchseg.losses import segmentation_loss
from torchseg.metrics import confusion_matrix, overlap
from torchseg.spec import ImageSpec
from torchseg.train.threads import thread_pool

_BATCH = 16  # images per forward pass


class Evaluation(NamedTuple):
    """Scores of a network on held-out samples.

    Attributes:
        miou: mean IoU in [0, 1] over the classes that occur, from one confusion matrix of all samples.
        loss: averaged over batches.
        iou: IoU of each class in [0, 1]; NaN for a class that does not occur.
    """

    miou: float
    loss: float
    iou: tuple[float, ...]


def evaluate(model: nn.Module, samples: Samples, spec: ImageSpec) -> Evaluation:
    """Evaluates a network without training it.

    Args:
        model: maps images `(B, C, H, W)` to logits `(B, K, H, W)`; its training or eval mode is restored afterwards.
        samples: images and masks at the spec's size.
        spec: scaling and classes.
    """
    device = next(model.parameters()).device

    def evaluate_batch(first: int) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], float]:
        part = [samples[index] for index in range(first, min(first + _BATCH, len(samples)))]
        images = torch.from_numpy(spec.prepare(np.stack([sample.picture for sample in part]))).to(device)
        mask = np.stack([sample.mask for sample in part])  # (B, H, W)
        with torch.inference_mode():
            logits = model(images.contiguous(memory_format=torch.channels_last))
            loss = segmentation_loss(logits, torch.from_numpy(mask).to(device), ignore_index=spec.ignore_index)
        counts = confusion_matrix(logits.argmax(1).cpu().numpy(), mask, num_classes=spec.num_classes)
        return counts, float(loss)

    was_training = model.training
    model.eval()
    with thread_pool(torch.get_num_threads() if device.type == "cpu" else 1) as pool:
        counts, losses = zip(*pool.map(evaluate_batch, range(0, len(samples), _BATCH)), strict=True)
    model.train(was_training)
    scores = overlap(sum(counts))
    return Evaluation(miou=scores.miou, loss=float(np.mean(losses)), iou=tuple(map(float, scores.iou)))
