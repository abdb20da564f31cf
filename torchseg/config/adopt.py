"""Flags of the `adopt` command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torchseg.config.base import DataConfig
from torchseg.config.foreign_file import mean_and_std

_IMAGENET = "imagenet"


@dataclass(frozen=True, kw_only=True)
class AdoptConfig(DataConfig):
    """Makes a network trained elsewhere a checkpoint of this project, and scores it on the validation split.

    Example:
        my_net.pth --code my_net.py --model UNet --data folder --root mine --scaling 0-1 --out runs/mine

    Attributes:
        weights: Weights of the network: .pth, .pt, .bin, .ckpt or .safetensors, a folder of save_pretrained,
            TorchScript or .pt2.
        model: The network they belong to: a name, smp:ARCHITECTURE:ENCODER, torchvision:NAME, timm:ENCODER, or with
            --code the function or class that builds it. Default: what a folder of save_pretrained, TorchScript or .pt2
            says itself.
        model_arguments: Arguments of the network's builder, e.g. encoder_depth=4,decoder_channels=[128,64,32,16].
        code: Python file with your own network; it is run, so name only a file that you trust.
        key: Entry of the file with the state dict, e.g. ema.module. Default: found by its usual names.
        output: Name or index of the logits if the network returns several outputs. Default: out, logits or the first
            that fits.
        num_classes: Number of classes that the network was trained for; checked against the data. Default: that of the
            data set.
        classes: Names of the network's classes in the order of its outputs, as many as the data set has. Default: those
            of the data set.
        scaling: Pixel range that the network was trained with: imagenet (mean and standard deviation of ImageNet), 0-1,
            -1-1 or 0-255. Default: imagenet.
        mean: Means of the channels for images in [0, 1], separated by commas, in place of --scaling; needs --std.
        std: Standard deviations of the channels, separated by commas, in place of --scaling; needs --mean.
        out: Folder of the run. Default: runs/DATA-adopted.
    """

    weights: Path = field(metadata={"positional": ""})
    model: str = ""
    model_arguments: str = ""
    code: Path | None = None
    key: str = ""
    output: str = ""
    num_classes: int = 0
    classes: str = ""
    scaling: str = ""
    mean: str = ""
    std: str = ""
    out: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.mean_and_std
        if self.num_classes < 0:
            raise ValueError(f"num_classes is {self.num_classes}; give a number of classes, or 0 for that of the data")
        if self.code and not self.model:
            raise ValueError(f"--code {self.code} needs --model, the function or class in it that builds the network")

    @property
    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation for images in [0, 1]: the network sees `(image / 255 - mean) / std`."""
        return mean_and_std(self.scaling or _IMAGENET, self.mean, self.std)

    @property
    def says_scaling(self) -> bool:
        """Whether the flags state how images are scaled."""
        return bool(self.scaling or self.mean)

    @property
    def class_names(self) -> tuple[str, ...]:
        """`classes`, parsed; empty if the flag is not given."""
        return tuple(name.strip() for name in self.classes.split(",") if name.strip())

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.out or Path("runs") / f"{self.data}-adopted"
