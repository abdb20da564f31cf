"""One sheet per picture: what several models see in it, where they are wrong and where they differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.data import Sample
from torchseg.harness.drawing import DIFFERENT, WRONG, Panel, marked, overlay, sheet
from torchseg.harness.format import percent
from torchseg.metrics import confusion_matrix, overlap
from torchseg.spec import ImageSpec

Labels = NDArray[np.uint8]


def comparison(sample: Sample, answers: Mapping[str, Labels], spec: ImageSpec) -> Image.Image:
    """The picture and every model's classes; below them wrong pixels, where the truth is known, and differences.

    Args:
        sample: a picture; a mask that is ignored everywhere stands for no truth.
        answers: classes `(H, W)` by the model's name; the first is the one that the others are held against.
        spec: the classes.
    """
    known = sample.mask < spec.num_classes
    above: list[Panel | None] = [Panel(picture=sample.picture, title=sample.name)]
    below: list[Panel | None] = [_differences(sample, answers)]
    if known.any():
        above.append(Panel(picture=overlay(sample.picture, sample.mask), title="truth"))
        below.append(None)
    for name, labels in answers.items():
        note = ""
        if known.any():
            scores = overlap(confusion_matrix(labels, sample.mask, num_classes=spec.num_classes))
            note = f"mean IoU {percent(scores.miou)}"
            below.append(_marked(sample, (labels != sample.mask) & known, WRONG, f"wrong: {name}", int(known.sum())))
        above.append(Panel(picture=overlay(sample.picture, labels), title=name, note=note))
    return sheet([above, below] if known.any() else [[*above, *below]], spec.classes)


def _differences(sample: Sample, answers: Mapping[str, Labels]) -> Panel | None:
    """Pixels where any model gives another class than the first; None for a single model."""
    reference, *others = answers.values()
    if not others:
        return None
    differ = np.any([labels != reference for labels in others], axis=0)
    return _marked(sample, differ, DIFFERENT, "where they differ", differ.size)


def _marked(sample: Sample, where: NDArray[np.bool_], colour: tuple[int, int, int], title: str, counted: int) -> Panel:
    share = percent(int(where.sum()) / counted)
    return Panel(picture=marked(sample.picture, where, colour), title=title, note=f"{share} of pixels")
