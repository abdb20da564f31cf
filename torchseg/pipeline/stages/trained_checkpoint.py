"""What a training leaves in its folder: the checkpoint, and the training curves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn

from torchseg.checkpoint import Card, save_checkpoint
from torchseg.harness.csv_table import CRLF, write_rows
from torchseg.models import count_parameters, multiply_adds
from torchseg.train import Progress

CURVE_COLUMNS = ("epoch", "step", "learning_rate", "train_loss", "val_loss", "val_miou", "seconds")


def save_trained(model: nn.Module, card: Card, progress: Progress, folder: Path) -> None:
    """Writes `model.safetensors`, `card.json`, `curves.csv` and the curves for TensorBoard into a folder."""
    metrics = {
        "val_miou": progress.best_miou,
        "parameters": count_parameters(model),
        "multiply_adds": multiply_adds(model, card.spec),
    }
    save_checkpoint(model, replace(card, metrics=metrics), folder)
    # As text, so that a loss that is not a number is written as `nan` and not as an empty cell.
    curve = ({name: str(value) for name, value in row.items()} for row in progress.curve)
    write_rows(folder / "curves.csv", CURVE_COLUMNS, curve, line_end=CRLF)
    _write_events(progress, folder)


def _write_events(progress: Progress, folder: Path) -> None:
    """Writes the same curves for TensorBoard."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(logdir=str(folder / "tensorboard")) as writer:
        for row in progress.curve:
            for name in CURVE_COLUMNS[2:]:
                if name in row:
                    writer.add_scalar(name, row[name], int(row["step"]))
