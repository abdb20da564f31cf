"""The meaning of an imported network's outputs, and their conversion to one value per class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SOFTMAX, SIGMOID, LOGITS = "softmax", "sigmoid", "logits"
_MEANINGS = {
    SOFTMAX: "probabilities (softmax); their argmax is that of the logits",
    SIGMOID: "probabilities (sigmoid)",
    LOGITS: "logits",
}


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Kind of output that an imported network has.

    Attributes:
        activation: of the last layer: `softmax`, `sigmoid`, or `logits` for none.
        channels: number of output channels; 1 separates an object (class 1) from its background (class 0).
    """

    activation: str
    channels: int

    @property
    def num_classes(self) -> int:
        """Number of classes; 2 for a single output channel."""
        return max(2, self.channels)

    @property
    def output_name(self) -> str:
        """`logits` or `probabilities`."""
        return "logits" if self.activation == LOGITS else "probabilities"

    @property
    def meaning(self) -> str:
        """One sentence for the certificate and the metadata."""
        split = "; one channel became two classes: " + (
            "the object where its logit is above 0"
            if self.activation == LOGITS
            else "the object where its value is above 0.5"
        )
        return _MEANINGS[self.activation] + (split if self.channels == 1 else "")

    @property
    def spread(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Factor and summand, `(1, 2, 1, 1)` each, that turn one channel into two classes; None for several channels.

        A probability p becomes (1 - p, p); a logit z becomes (-z / 2, z / 2), whose softmax is the sigmoid of z.
        """
        if self.channels > 1:
            return None
        factor, summand = ((-0.5, 0.5), (0.0, 0.0)) if self.activation == LOGITS else ((-1.0, 1.0), (1.0, 0.0))
        shape = (1, 2, 1, 1)
        return np.array(factor, np.float32).reshape(shape), np.array(summand, np.float32).reshape(shape)

    def of(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Converts the network's own outputs `(B, channels, H, W)` to one value per class, `(B, K, H, W)`."""
        if self.spread is None:
            return values
        factor, summand = self.spread
        return values * factor + summand  # (B, 2, H, W)
