"""Flags of the `compress` command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torchseg.compression_defaults import CHANNEL_IMPORTANCE
from torchseg.config.compression_flags import CompressionFlags
from torchseg.config.distillation import DistillationConfig
from torchseg.config.training import LearningConfig, check_epochs


@dataclass(frozen=True, kw_only=True)
class CompressConfig(CompressionFlags, DistillationConfig, LearningConfig):
    """Removes channels from a trained network, prunes and clusters its weights, and retrains after each step.

    Example:
        runs/mine/trained --sparsity 0.6 --clusters 6

    Attributes:
        checkpoint: Folder of a trained network, e.g. runs/scenes/trained.
        out: Folder of the run. Default: compressed/ in the run of the checkpoint.
        teacher_checkpoint: Folder of a trained teacher for recovery training by distillation; several, separated by
            commas, teach with the mean of their probabilities. Default: teacher/ in the run of the checkpoint, if it
            exists and is not the checkpoint itself; otherwise recovery uses labels only.
        transfer_set: Folder of images without masks; on these the only target is the teacher's prediction.
        channel_sparsity: Share of channels to remove from every layer, in [0, 1); 0 removes none.
        channel_epochs: Epochs of recovery training after channel removal. Default: enough for 240 steps on scenes,
            720 otherwise.
        importance: How channels are ranked; the lowest are removed. magnitude: size of their weights; batch_norm: their
            scale in batch norm; taylor: estimated change of the loss, measured on images.
        data: Data set, as for training. Default: that of the run that the checkpoint lies in, read as the run reads it.
        root: Folder of the data set, or its parent folder. Default, without --data: where the run had it.
        image_size: Input size of the networks in pixels: N, or H,W, with --data. Default: 64 for scenes, 128 otherwise;
            without --data, that of the run.
        pack: Also write OUT/artifacts/STAGE.{fp32,fp16,int8}.onnx and .packed.onnx, each with its certificate.
    """

    checkpoint: Path = field(metadata={"positional": ""})
    teacher_checkpoint: Path | None = None
    transfer_set: Path | None = None
    channel_sparsity: float = field(default=0.0, metadata={"was": "shrink"})
    channel_epochs: int = field(default=0, metadata={"was": "shrink_epochs"})
    importance: Literal["magnitude", "batch_norm", "taylor"] = CHANNEL_IMPORTANCE
    pack: bool = False
    data: str = ""

    def __post_init__(self) -> None:
        LearningConfig.__post_init__(self)
        CompressionFlags.__post_init__(self)
        DistillationConfig.__post_init__(self)
        check_epochs(channel_epochs=self.channel_epochs)
        if not 0 <= self.channel_sparsity < 1:
            raise ValueError(
                f"channel_sparsity is {self.channel_sparsity}; "
                "give the share of channels to remove, in [0, 1), e.g. 0.5"
            )
        if not (self.channel_sparsity or self.stages):
            raise ValueError(
                "nothing to do: channel_sparsity and sparsity are 0 and clusters is null; give one of them"
            )
