"""The table of networks. A new network is one file and one line here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from torch import nn

from torchseg.models.ensemble import Ensemble
from torchseg.models.external.code_file import PREFIX as CODE
from torchseg.models.external.code_file import Code, code_builder, code_name, read_code
from torchseg.models.external.outputs import FullSizeLogits, Outputs
from torchseg.models.external.probing import find_outputs
from torchseg.models.external.program import BUILDER as PROGRAM
from torchseg.models.external.torchvision import PREFIX as TORCHVISION
from torchseg.models.external.torchvision import torchvision_builder
from torchseg.models.lite_student import encoder_name, lite_student
from torchseg.models.multiscale_unet import multiscale_student, multiscale_unet
from torchseg.models.pretrained import FETCHED, IMAGENET, LITE_SCALING, PACKAGED, Scaling
from torchseg.models.smp import PREFIX as SMP
from torchseg.models.smp import TIMM, smp_builder, timm_builder
from torchseg.models.unet import attention_unet, fast_unet, multi_unet, small_unet, unet
from torchseg.models.xception_unet import xception_unet
from torchseg.spec import ImageSpec, nearest

MODELS: Mapping[str, Callable[..., nn.Module]] = {
    "attention_unet": attention_unet,
    "fast_unet": fast_unet,
    "lite_student": lite_student,
    "multi_unet": multi_unet,
    "multiscale_student": multiscale_student,
    "multiscale_unet": multiscale_unet,
    "small_unet": small_unet,
    "unet": unet,
    "xception_unet": xception_unet,
}

ENSEMBLE = "ensemble"  # made of trained networks, see `ensemble_arguments`; not for users to name
_WIDEST, _DEEPEST = 2**16, 16  # an image of 2**16 pixels can be halved 16 times

# What the part before the colon of a name stands for; a further source is one file and one line here.
SOURCES: Mapping[str, Callable[[str], tuple[Callable[..., nn.Module], Mapping[str, Any]]]] = {
    SMP: smp_builder,
    TORCHVISION: torchvision_builder,
    TIMM: timm_builder,
    CODE: code_builder,
}
_FORMS = ("smp:ARCHITECTURE:ENCODER", "torchvision:NAME", "timm:ENCODER", "code:FILE:FUNCTION")

_SET_BY_BUILDER = {"self", "in_channels", "num_classes", "attention"}


def build_model(name: str, arguments: Mapping[str, Any], spec: ImageSpec, *, seed: int = 0) -> nn.Module:
    """Builds a network for images of this spec, with random initial weights.

    Args:
        name: a key of `MODELS`, or one of another project: `smp:ARCHITECTURE:ENCODER`, `torchvision:NAME`,
            `timm:ENCODER` or `code:FILE:FUNCTION`.
        arguments: arguments of the builder, besides the number of channels and classes.
        spec: images and classes.
        seed: of the initial weights; the global random state is not changed.

    Raises:
        ValueError: for an unknown name or argument; lists the known ones. For code that is not trusted.
    """
    network = build_network(name, arguments, channels=spec.channels, num_classes=spec.num_classes, seed=seed)
    if not name.startswith(CODE):
        return network
    return FullSizeLogits(network, find_outputs(network, spec.channels, spec.num_classes))


def build_network(
    name: str, arguments: Mapping[str, Any], *, channels: int, num_classes: int, seed: int = 0
) -> nn.Module:
    """Builds a network as its project does: one of a code file may return anything.

    Raises:
        ValueError: as `build_model` does.
    """
    builder, known = _find(name)
    check_arguments(name, arguments, known)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return builder(channels, num_classes, **arguments)


def arguments_of(name: str) -> Mapping[str, Any]:
    """Name and type of every argument of the builder `name`; none are known of a code file, which is not run for it.

    Raises:
        ValueError: for an unknown builder.
    """
    return {} if name.startswith(CODE) or name == PROGRAM else _find(name)[1]


def defaults_of(name: str) -> Mapping[str, Any]:
    """Default arguments of the builder `name`; empty for networks of other projects."""
    return default_arguments(MODELS[name]) if name in MODELS else {}


def rebuild_model(
    name: str,
    arguments: Mapping[str, Any],
    spec: ImageSpec,
    *,
    code: Code | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Builds a network whose weights will be loaded next: like `build_model`, but without pretrained weights.

    Args:
        name: as for `build_model`.
        arguments: as for `build_model`.
        spec: images and classes.
        code: source of a network of a code file, as its card records it; the file itself is not read.
        outputs: how what it returns becomes logits, as its card records it; empty for a network that returns logits.

    Raises:
        ValueError: as `build_model` does.
    """
    given = {key: value for key, value in arguments.items() if key != FETCHED}
    described = Outputs.from_dict(outputs) if outputs else None
    classes = described.channels if described else spec.num_classes
    if not name.startswith(CODE):
        network = build_network(name, given, channels=spec.channels, num_classes=classes)
    else:
        if not code or "source" not in code:
            raise ValueError(f"the card of {name} lacks the code that builds it; adopt the network again")
        builder, known = code_builder(name, code)
        check_arguments(name, given, known)
        with torch.random.fork_rng(devices=[]):
            network = builder(spec.channels, classes, **given)
        described = described or find_outputs(network, spec.channels, spec.num_classes)
    return FullSizeLogits(network, described) if described else network


def recorded(name: str) -> dict[str, Any]:
    """What the card of a newly built network records of its builder: `builder`, and `code` if it is in a code file."""
    if not name.startswith(CODE):
        return {"builder": name}
    file, function = code_name(name)
    code = read_code(Path(file))
    return {"builder": f"{CODE}{code['file']}:{function}", "code": code}


def pretrained_scaling(name: str, arguments: Mapping[str, Any]) -> Scaling | None:
    """Image scaling that a network's packaged weights were trained with; None if it uses no packaged weights."""
    given = {**defaults_of(name), **arguments} if name in MODELS else arguments
    encoder = encoder_name(given["encoder"]) if "encoder" in given else name.rpartition(":")[2]
    return LITE_SCALING if encoder in PACKAGED and given.get(FETCHED) == IMAGENET else None


def count_parameters(model: nn.Module) -> int:
    """Number of weights and biases."""
    return sum(parameter.numel() for parameter in model.parameters())


def _find(name: str) -> tuple[Callable[..., nn.Module], Mapping[str, Any]]:
    for prefix, builder in SOURCES.items():
        if name.startswith(prefix):
            return builder(name)
    if name == ENSEMBLE:
        return _ensemble, {"members": Sequence[str]}
    if name not in MODELS:
        listed = ", ".join([*sorted(MODELS), *_FORMS])
        raise ValueError(f"there is no model '{name}'{nearest(name, MODELS)}; choose from {listed}")
    return MODELS[name], known_arguments(MODELS[name])


def ensemble_arguments(members: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Arguments of the builder `ensemble` for members of these names and arguments; without pretrained weights."""
    listed = []
    for name, arguments in members:
        kept = {key: value for key, value in arguments.items() if key != FETCHED}
        listed.append(f"{name} {format_arguments(kept)}".strip())
    return {"members": listed}


def _ensemble(in_channels: int, num_classes: int, *, members: Sequence[str]) -> Ensemble:
    networks = []
    for member in members:
        name, _, arguments = member.partition(" ")
        networks.append(_find(name)[0](in_channels, num_classes, **parse_arguments(arguments)))
    return Ensemble(networks)


def parse_arguments(text: str) -> dict[str, Any]:
    """Parses `base_width=32,depth=4,batch_norm=false` or `decoder_channels=[64,32,16]`; an empty text gives `{}`.

    Raises:
        ValueError: if the text has another form.
    """
    import yaml

    from torchseg.record.yaml_text import plain_yaml

    try:
        values = plain_yaml("{" + text.replace("=", ": ") + "}")
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict) or None in values.values() or not all(isinstance(name, str) for name in values):
        raise ValueError(f"model arguments are '{text}'; give NAME=VALUE pairs, e.g. base_width=32,batch_norm=false")
    return values


def format_arguments(arguments: Mapping[str, Any]) -> str:
    """Writes arguments as `parse_arguments` reads them; values are words, numbers, booleans or lists of these."""
    return ",".join(f"{name}={str(value).replace(' ', '')}" for name, value in arguments.items())


def known_arguments(builder: Callable[..., Any]) -> dict[str, Any]:
    """Name and type of every argument of a builder, besides channels and classes.

    A builder `f(in_channels, num_classes, **arguments) -> Network` passes its arguments to the class that it returns.
    """
    network = get_type_hints(builder)["return"]
    hints = get_type_hints(network.__init__)
    return {name: hints[name] for name in inspect.signature(network).parameters if name not in _SET_BY_BUILDER}


def default_arguments(builder: Callable[..., Any]) -> dict[str, Any]:
    """Default arguments of a builder: its own defaults, and for the rest those of the class that it returns."""
    network = get_type_hints(builder)["return"]
    own, left = (inspect.signature(each).parameters for each in (builder, network))
    return {name: own.get(name, left[name]).default for name in known_arguments(builder)}


def check_arguments(model: str, arguments: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuses arguments that the builder does not have, or that have the wrong type.

    Args:
        model: name of the model, for the message.
        arguments: the arguments to check.
        known: name and type of every argument of the builder.

    Raises:
        ValueError: naming the argument, and the known arguments or the expected type.
    """
    for name, value in arguments.items():
        if name not in known:
            listed = ", ".join(sorted(known))
            raise ValueError(f"model '{model}' takes no {name}{nearest(name, known)}; it takes {listed}")
        if not _fits(value, known[name]):
            raise ValueError(f"{name} of model '{model}' is {value!r}; give {_described(known[name])}")
        most = _DEEPEST if name == "depth" else _WIDEST
        if isinstance(value, int) and value > most:
            raise ValueError(f"{name} of model '{model}' is {value}; give at most {most}")


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value has this type; composite types are left for the network to check."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind in (int, float) and isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float)
    return isinstance(value, kind) if kind in (int, bool, str) else True


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}[kind]
