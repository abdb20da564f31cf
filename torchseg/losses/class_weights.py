"""Weights of the classes in the loss: given by the user, or derived from class frequencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from statistics import median

MEDIAN_FREQUENCY = "median_frequency"


def class_weights(text: str, classes: Sequence[str], *, frequencies: Mapping[str, float]) -> list[float] | None:
    """Parses `median_frequency`, or one positive number per class, separated by commas.

    Args:
        text: value of the flag.
        classes: names, in the order of the mask values.
        frequencies: by class name: its share of the valid pixels of those images in which it occurs, in [0, 1].

    Returns:
        One positive weight per class; None if the text is empty.

    Raises:
        ValueError: if the text has another form or another number of weights.
    """
    if not text:
        return None
    if text == MEDIAN_FREQUENCY:
        if missing := [name for name in classes if name not in frequencies]:
            raise ValueError(
                f"class_weights is {MEDIAN_FREQUENCY}, and there is no frequency of {', '.join(missing)}; read the "
                "images again, or give a number for each class"
            )
        return median_frequency([frequencies[name] for name in classes])
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        weights = []
    if len(weights) != len(classes) or not all(0 < weight < inf for weight in weights):
        raise ValueError(
            f"class_weights is '{text}'; give {MEDIAN_FREQUENCY}, or {len(classes)} positive numbers separated by "
            f"commas, for {', '.join(classes)}"
        )
    return weights


def median_frequency(frequencies: Sequence[float]) -> list[float]:
    """Median frequency divided by each frequency, so that rare classes weigh more.

    Source: arXiv:1411.4734, section 6.3.2. Classes that never occur are left out of the median and get weight 1.
    """
    known = [frequency for frequency in frequencies if frequency > 0]
    middle = median(known) if known else 1.0
    return [middle / frequency if frequency > 0 else 1.0 for frequency in frequencies]
