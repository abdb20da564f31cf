"""Networks trained elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from torch import nn

from torchseg.adopt import STAGE, Source, adopt_network, source_of_module
from torchseg.api.data import Data
from torchseg.api.network import Network, load
from torchseg.api.options import Listed, Named, config_for
from torchseg.checkpoint import save_checkpoint
from torchseg.config import AdoptConfig
from torchseg.console import console
from torchseg.models import parse_arguments
from torchseg.models.external.code_file import read_code
from torchseg.pipeline.commands.adopt import adopt_weights, source_of
from torchseg.spec import ImageSpec
from torchseg.trusted_code import trust


class AdoptOptions(TypedDict, total=False):
    """Options of `adopt`."""

    key: str
    output: str
    num_classes: int
    classes: Listed
    scaling: str
    mean: Listed
    std: Listed
    seed: int
    threads: int | Literal["auto"]


@console()
def adopt(
    network: nn.Module | str | Path,
    data: Data | ImageSpec,
    *,
    model: str = "",
    arguments: Named = "",
    code: str | Path | None = None,
    out: str | Path | None = None,
    **options: Unpack[AdoptOptions],
) -> Network:
    """Makes a network trained elsewhere one of this project, and scores it on the validation split.

    Args:
        network: a network in memory, or a file or folder with its weights: `.pth`, `.pt`, `.bin`, `.ckpt`,
            `.safetensors`, what `save_pretrained` wrote, TorchScript or `.pt2`.
        data: images and classes that it was trained for. With an image spec alone nothing is scored, and scaling and
            classes are those of the spec.
        model: what builds the network: a name, `smp:ARCHITECTURE:ENCODER`, `torchvision:NAME`, `timm:ENCODER`, or with
            `code` the function or class in it. A network in memory needs it to be compressed; without it, and unless it
            is one of segmentation_models_pytorch, the program that PyTorch exports is kept.
        arguments: of the builder, e.g. `{"encoder_depth": 4}`.
        code: Python file with your own network. It is run, and trusted in this process from then on.
        out: folder of the run. Default: `runs/DATA-adopted`, or `runs/adopted` for an image spec.
        **options: any other flag of `adopt`.

    Returns:
        The network of the checkpoint `OUT/adopted`.

    Raises:
        ValueError: if a file cannot be read without running code that is not trusted, or weights, network and data do
            not fit each other.
    """
    if code is not None:
        trust(Path(code))
    flags: dict[str, object] = {"model": model, "model_arguments": arguments, **options}
    flags |= {"code": Path(code) if code else None, "out": Path(out) if out else None}
    flags |= {"weights": Path(type(network).__name__) if isinstance(network, nn.Module) else Path(network)}
    config = config_for(AdoptConfig, flags | (data.flags if isinstance(data, Data) else {}))
    spec = data if isinstance(data, ImageSpec) else data.spec
    source = _in_memory(network, config, spec) if isinstance(network, nn.Module) else None
    if isinstance(data, Data):
        return load(adopt_weights(config, source).checkpoint)
    adopted = adopt_network(source or source_of(config), spec)
    folder = (config.out or Path("runs/adopted")) / STAGE
    save_checkpoint(adopted.network, adopted.card, folder)
    return load(folder)


def _in_memory(network: nn.Module, config: AdoptConfig, spec: ImageSpec) -> Source:
    arguments = parse_arguments(config.model_arguments)
    code = read_code(config.code) if config.code else None
    source = source_of_module(network, spec, model=config.model, arguments=arguments, code=code)
    return replace(source, output=config.output)
