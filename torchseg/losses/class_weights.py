"""A weight for each class: given, or from how often the classes occur."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

MEDIAN_FREQUENCY = "median_frequency"


def class_weights(text: str, classes: Sequence[str], *, frequencies: Mapping[str, float]) -> list[float] | None:
    """Reads `median_frequency`, or one positive number a class, separated by commas; an empty text gives None.

    Args:
        text: of the flag.
        classes: names, in their order.
        frequencies: of each class: its share of the valid pixels of those pictures in which it occurs.

    Raises:
        ValueError: for another form or number of weights.
    """
    if not text:
        return None
    if text == MEDIAN_FREQUENCY:
        return median_frequency([frequencies[name] for name in classes])
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        weights = []
    if len(weights) != len(classes) or min(weights) <= 0:
        raise ValueError(
            f"class_weights is '{text}'; give {MEDIAN_FREQUENCY}, or {len(classes)} positive numbers separated by "
            f"commas, for {', '.join(classes)}"
        )
    return weights


def median_frequency(frequencies: Sequence[float]) -> list[float]:
    """Median of the frequencies over each: rare classes weigh more. Source: arXiv:1411.4734, section 6.3.2.

    Classes that never occur have no say in the median, and weigh 1.
    """
    known = [frequency for frequency in frequencies if frequency > 0]
    middle = median(known) if known else 1.0
    return [middle / frequency if frequency > 0 else 1.0 for frequency in frequencies]
