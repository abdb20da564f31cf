"""Settings of the distillation loss: flags of the commands, and what the training step reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torchseg.checks import check_positive


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """Settings of the distillation loss.

    Attributes:
        temperature: Softmax temperature in the distillation loss, for student and teacher; greater than 0.
        alpha: Weight of the distillation loss, in [0, 1]; the loss on the labels has weight 1 - alpha.
        soft_loss: Distillation loss: terms joined by +, each with an optional weight, e.g. kl+0.5*dice. kl: divergence
            of the class probabilities per pixel; dice: overlap with the teacher's probabilities; channel: divergence
            along the pixels of each class; dist: correlation; standardised: kl of standardised logits. picture_sum and
            over_width reproduce published mistakes (docs/explanation/recipes.md).
        transfer_ratio: Images without masks per labelled image, added to every batch; on them the student learns from
            the teacher alone. Without a transfer set these are the training images, in other views. 0 adds none: the
            teacher is then asked about the labelled images.
        distort: Distort colours, blur and add noise in the student's view of images without masks; the teacher sees
            them plain.
    """

    temperature: float = 1.0
    alpha: float = 0.5
    soft_loss: str = "kl+dice"
    transfer_ratio: float = 1.0
    distort: bool = False

    def __post_init__(self) -> None:
        check_positive("temperature", self.temperature, example="1 or 4")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}; give a share in [0, 1], e.g. 0.8")
        if not 0 <= self.transfer_ratio <= _MOST_TRANSFER:
            raise ValueError(
                f"transfer_ratio is {self.transfer_ratio}; give images without masks per labelled image, "
                f"0 to {_MOST_TRANSFER}, e.g. 1"
            )


_MOST_TRANSFER = 16


def teacher_folders(checkpoint: Path | None) -> tuple[Path, ...]:
    """Folders of the given teachers: one, several separated by commas, or none."""
    if checkpoint is None:
        return ()
    if checkpoint.exists():  # a folder may have a comma in its name
        return (checkpoint,)
    return tuple(Path(part.strip()) for part in str(checkpoint).split(","))
