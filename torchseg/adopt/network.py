"""Builds the network that weights belong to, loads them, and describes both in a card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from torchseg.adopt.image_channels import image_channels, with_channels
from torchseg.adopt.key_matching import Matching, match_keys
from torchseg.adopt.program import program_network, program_of
from torchseg.adopt.suggestions import head_classes, other_model
from torchseg.adopt.weights_file import WeightsFile
from torchseg.modelfile.card import Card
from torchseg.models import arguments_of, build_network, check_size
from torchseg.models.external.code_file import PREFIX as CODE
from torchseg.models.external.code_file import Code, code_builder
from torchseg.models.external.outputs import FullSizeLogits
from torchseg.models.external.probing import find_outputs
from torchseg.models.external.program import BUILDER as PROGRAM
from torchseg.models.smp import PREFIX as SMP
from torchseg.spec import ImageSpec
from torchseg.trusted_code import sha256_of_bytes

STAGE = "adopted"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A network trained elsewhere.

    Attributes:
        weights: as they were read.
        model: name of a network; with `code`, the function or class that builds it. Empty: what the file itself says.
        arguments: of the builder.
        code: the user's own file that builds the network, if there is one.
        output: name or index of the logits among several outputs.
        program: of a network in memory that nothing can build again; takes the place of that in a file.
    """

    weights: WeightsFile
    model: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    code: Code | None = None
    output: str = ""
    program: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Adopted:
    """A network in the form of this project.

    Attributes:
        network: `(B, C, H, W)` images to `(B, K, H, W)` logits, in eval mode, on the CPU.
        card: how to build it; without metrics.
        notes: what was found in the file and done to the network, one sentence each.
    """

    network: nn.Module
    card: Card
    notes: tuple[str, ...]


def adopt_network(source: Source, spec: ImageSpec) -> Adopted:
    """Makes a network trained elsewhere one of this project.

    Args:
        source: its weights, and what builds it.
        spec: images and classes that it is for.

    Raises:
        ValueError: if the weights do not fit the network, or the network does not fit the images or classes.
    """
    source = _completed(source)
    if source.model == PROGRAM:
        return _program(source, spec)
    network, matching = _fitting(source, spec)
    network.load_state_dict(matching.tensors)
    outputs = find_outputs(network.eval(), spec.channels, spec.num_classes, output=source.output)
    own_stride = None if source.code else getattr(network, "stride", None)
    outputs = replace(outputs, stride=own_stride or outputs.stride)
    check_size(spec.height, spec.width, stride=outputs.stride)
    as_it_is = outputs.are_logits and own_stride is not None
    return Adopted(
        network=network if as_it_is else FullSizeLogits(network, outputs),
        card=_card(source, spec, {} if as_it_is else outputs.to_dict()),
        notes=(*_read(source.weights), *matching.notes, *outputs.describe()),
    )


def _completed(source: Source) -> Source:
    """Fills in what the file says of its network."""
    config, weights = source.weights.config, source.weights
    if source.code:
        function = source.model.rpartition(":")[2]
        return replace(source, model=f"{CODE}{source.code['file']}:{function}")
    if {"_model_class", "encoder_name"} <= config.keys():
        said = f"{SMP}{config['_model_class']}:{config['encoder_name']}"
        if source.model in ("", said):
            known = arguments_of(said).keys() - {"encoder_weights"}
            own = {name: value for name, value in config.items() if name in known and value is not None}
            return replace(source, model=said, arguments={**own, **source.arguments})
    if not source.model and (source.program or weights.kind in ("torchscript", "exported")):
        return replace(source, model=PROGRAM)
    if not source.model:
        raise ValueError(
            f"{weights.path} holds weights and not the network; give --model, e.g. smp:Unet:resnet18, "
            "torchvision:lraspp_mobilenet_v3_large, or --code my_net.py --model build"
        )
    return source


def _fitting(source: Source, spec: ImageSpec) -> tuple[nn.Module, Matching]:
    """The network whose tensors the weights fit."""
    network, matching = _matched(source, spec, spec.num_classes)
    classes = head_classes(matching, spec.num_classes)
    if classes == 1 and spec.num_classes == 2:
        network, matching = _matched(source, spec, 1)
    elif classes:
        raise ValueError(
            f"the head in {source.weights.path} has {classes} classes and the data has {spec.num_classes} "
            f"({', '.join(spec.classes)}); give data of the classes that it was trained for"
        )
    if not matching.fits:
        tensors, own = source.weights.tensors, spec.num_classes
        other = "" if source.code else other_model(source.model, tensors, channels=spec.channels, num_classes=own)
        channels = image_channels(matching, spec.channels)
        advice = (
            f"they are for images of {channels} channels and the data has {spec.channels}: give images of {channels}"
            if channels
            else f"they fit --model {other}"
            if other
            else _arguments_to_check(source)
        )
        raise ValueError(f"{source.weights.path} does not fit {source.model}: {matching.describe()}; {advice}")
    return network, matching


def _arguments_to_check(source: Source) -> str:
    check = "check --model and --model_arguments"
    known = list(code_builder(source.model, source.code)[1]) if source.code else []
    return f"{check}: {source.model.rpartition(':')[2]} takes {', '.join(known)}" if known else check


def _matched(source: Source, spec: ImageSpec, num_classes: int) -> tuple[nn.Module, Matching]:
    if source.code:
        builder, known = code_builder(source.model, source.code)
        unknown = [name for name in source.arguments if name not in known]
        if unknown:
            raise ValueError(f"{source.model} takes no {unknown[0]}; it takes {', '.join(known)}")
        with torch.random.fork_rng(devices=[]):
            network = builder(spec.channels, num_classes, **source.arguments)
    else:
        network = build_network(source.model, source.arguments, channels=spec.channels, num_classes=num_classes)
    matching = match_keys(source.weights.tensors, network.state_dict())
    return network, with_channels(matching, spec.channels)


def _program(source: Source, spec: ImageSpec) -> Adopted:
    """A network of which there is only a program: it can be exported, scored and distilled from."""
    path = source.weights.path
    program = source.program or program_of(path, spec)
    network = program_network(program, path, spec)
    size = (spec.height, spec.width)
    outputs = find_outputs(network, spec.channels, spec.num_classes, output=source.output, size=size)
    code = {"file": path.name, "sha256": sha256_of_bytes(program)}
    note = "the program itself is kept: it can be exported, scored and distilled from, but not compressed"
    return Adopted(
        network=FullSizeLogits(network, outputs).eval(),
        card=replace(_card(source, spec, outputs.to_dict()), code=code),
        notes=(*_read(source.weights), note, *outputs.describe()),
    )


def _card(source: Source, spec: ImageSpec, outputs: Mapping[str, Any]) -> Card:
    arguments = {} if source.model == PROGRAM else dict(source.arguments)
    code = dict(source.code or {})
    return Card(builder=source.model, arguments=arguments, spec=spec, stage=STAGE, code=code, outputs=outputs)


def _read(weights: WeightsFile) -> list[str]:
    """Which part of the file was taken, where there is a choice."""
    if not weights.other_keys:
        return [f"weights are those under '{weights.key}'"] if weights.key else []
    others = ", ".join(each or "the file itself" for each in weights.other_keys)
    return [f"weights are those under '{weights.key}'; the file also has {others} (--key)"]
