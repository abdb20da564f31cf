"""The networks of `zoo.py`: architectures by encoders, those of torchvision, and any from files."""

from __future__ import annotations

import importlib.util
import inspect
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from torchseg.models import build_model
from torchseg.spec import ImageSpec

ARCHITECTURES = (
    *("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3", "DeepLabV3Plus", "UPerNet"),
    *("Segformer", "DPT"),
)
ENCODERS = (
    *("resnet18", "mobilenet_v2", "tu-tf_efficientnet_lite0", "efficientnet-b0", "mit_b0", "tu-convnext_atto"),
    *("tu-mobilenetv4_conv_small", "vgg11_bn", "densenet121"),
)
TORCHVISION = ("fcn_resnet50", "deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")


class NotBuiltError(Exception):
    """The library cannot build the network, so there is nothing to export."""


class OneOutput(nn.Module):
    """Returns logits at the size of the image, for networks that return a dictionary, several tensors or a small map.

    Of several tensors, the first counts.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Logits `(B, K, H, W)` for images `(B, C, H, W)`."""
        logits = self.network(image)
        if isinstance(logits, dict):
            logits = logits["out"] if "out" in logits else next(iter(logits.values()))
        if isinstance(logits, list | tuple):
            logits = logits[0]
        if logits.shape[2:] != image.shape[2:]:
            logits = nn.functional.interpolate(logits, size=image.shape[2:], mode="bilinear", align_corners=False)
        return logits  # type: ignore[no-any-return]


def add_network_flags(parser: ArgumentParser, families: Sequence[str]) -> None:
    """Adds the flags that choose networks and images, and where results go; `families` is the default order."""
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="another place to write the table to")
    parser.add_argument("--families", nargs="*", default=families, choices=["smp", "torchvision"])
    parser.add_argument(
        "--code", type=Path, help="text file of further networks, one FILE.py:NAME [OWNER/REPOSITORY] per line"
    )
    parser.add_argument("--only", nargs="+", default=["*"], metavar="NAME", help="networks; * and ? stand for any text")
    parser.add_argument("--data", default="scenes")
    parser.add_argument("--root", type=Path)


def parsed_with_networks(parser: ArgumentParser, argv: Sequence[str] | None) -> Namespace:
    """The arguments, with `networks`: what `zoo_names` gives for them; ends the program if they choose none."""
    arguments = parser.parse_args(argv)
    try:
        arguments.networks = zoo_names(arguments.families, arguments.code, only=arguments.only)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return arguments


def zoo_names(families: Sequence[str], code: Path | None, *, only: Sequence[str] = ("*",)) -> dict[str, str]:
    """Names of networks, and what `zoo_network` builds for each.

    Args:
        families: `smp` and `torchvision`, or one of them.
        code: text file with one `FILE.py:NAME` per line, relative to its own folder. The network is called
            `code:FILE.py:NAME`, or `OWNER/REPOSITORY:NAME` if the line ends in the repository that it comes from.
        only: names of the wanted networks; `*` and `?` stand for any text.

    Raises:
        ValueError: if a line of `code` is something else, or no network has one of the names.
    """
    names = []
    if "smp" in families:
        names += [f"smp:{architecture}:{encoder}" for architecture in ARCHITECTURES for encoder in ENCODERS]
    if "torchvision" in families:
        names += [f"torchvision:{name}" for name in TORCHVISION]
    known = dict(zip(names, names, strict=True)) | (_listed(code) if code is not None else {})
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise ValueError(
                f"--only {pattern} is no network; give names such as {', '.join(list(known)[:2])}, or smp:*"
            )
    return {name: place for name, place in known.items() if any(fnmatchcase(name, each) for each in only)}


def _listed(code: Path) -> dict[str, str]:
    found = {}
    for line in code.read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        place, *repository = line.split()
        if len(repository) > 1 or ".py:" not in place:
            raise ValueError(f"{code} has the line '{line}'; give FILE.py:NAME or FILE.py:NAME OWNER/REPOSITORY")
        name = f"{repository[0]}:{place.rpartition(':')[2]}" if repository else f"code:{place}"
        found[name] = f"code:{code.parent.resolve() / place}"
    return found


def zoo_network(name: str, spec: ImageSpec) -> nn.Module:
    """Builds a network with random weights.

    Raises:
        NotBuiltError: if its library or file cannot.
    """
    kind, _, rest = name.partition(":")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            if kind == "smp":
                return build_model(name, {}, spec)
            if kind == "torchvision":
                from torchvision.models import segmentation

                builder = getattr(segmentation, rest)
                return OneOutput(builder(weights=None, weights_backbone=None, num_classes=spec.num_classes))
            return OneOutput(_from_file(rest, spec))
    except Exception as error:  # code of others raises anything
        raise NotBuiltError(" ".join(f"{type(error).__name__}: {error}".split())[:200]) from error


def _from_file(place: str, spec: ImageSpec) -> nn.Module:
    """Calls `NAME` of `FILE.py`, with the number of classes if it takes that."""
    file, _, name = place.rpartition(":")
    described = importlib.util.spec_from_file_location(Path(file).stem, file)
    if described is None or described.loader is None:
        raise ValueError(f"{file} is no Python file; give lines such as networks/unet.py:UNet")
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    builder: Any = getattr(module, name)
    known = [each for each in ("num_classes", "n_classes", "classes") if each in inspect.signature(builder).parameters]
    network = builder(**dict.fromkeys(known[:1], spec.num_classes))
    if not isinstance(network, nn.Module):
        raise TypeError(f"{name} of {file} returns {type(network).__name__}; expected a torch.nn.Module")
    return network
