"""How to run a model file of another tool, as far as the file does not say it itself."""

from __future__ import annotations

from dataclasses import dataclass

OUTPUT_KINDS = ("logit", "probability", "mask255", "classes")
COLOUR_ORDERS = ("RGB", "BGR")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to feed a file and how to read its output.

    Attributes:
        output: name of the output with the classes; empty chooses one by its shape.
        kind: meaning of its values, one of `OUTPUT_KINDS`; empty decides by the values.
        classes: number of classes, K; None takes the number in the file's metadata, or any.
        colour_order: of the channels that the file takes, one of `COLOUR_ORDERS`. Images are RGB and get converted.
    """

    output: str = ""
    kind: str = ""
    classes: int | None = None
    colour_order: str = "RGB"


DEFAULT_OPTIONS = RunOptions()
