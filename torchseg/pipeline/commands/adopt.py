"""The adopt command: a network trained elsewhere becomes a checkpoint of this project."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from torchseg.adopt import STAGE, Adopted, Source, adopt_network, read_weights
from torchseg.checkpoint import CARD, WEIGHTS, code_copies, read_card, save_checkpoint
from torchseg.cli.command import DONE, other_command
from torchseg.config import AdoptConfig, DataConfig
from torchseg.models import count_parameters, multiply_adds, parse_arguments, pretrained_scaling
from torchseg.models.external.code_file import read_code
from torchseg.models.external.program import BUILDER as PROGRAM
from torchseg.pipeline.run.class_names import checked_class_names
from torchseg.pipeline.run.dataset import Pictures, open_pictures
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.run.recorded_config import PICTURE_FLAGS
from torchseg.pipeline.run.session import write_record
from torchseg.pipeline.run.summary import checkpoint_argument
from torchseg.train.evaluate import evaluate


def adopt(config: AdoptConfig) -> int:
    """Writes the checkpoint `OUT/adopted`, prints its score, what was done to the network, and what to run next."""
    adopted = adopt_weights(config)
    checkpoint, metrics = adopted.checkpoint, read_card(adopted.checkpoint).metrics
    for note in adopted.notes:
        print(f"  {note}")
    miou = f"{100 * metrics['val_miou']:.2f} % mean IoU on the validation split"
    print(f"{checkpoint}: {int(metrics['parameters']):,} parameters, {miou}.")
    for line in _next_commands(config, checkpoint):
        print(f"  next     {line}")
    return DONE


@dataclass(frozen=True, kw_only=True)
class AdoptedCheckpoint:
    """Result of `adopt_weights`.

    Attributes:
        checkpoint: its folder.
        notes: what was done to the network, one sentence each; empty if the checkpoint was there before.
    """

    checkpoint: Path
    notes: Sequence[str]


def adopt_weights(config: AdoptConfig, source: Source | None = None) -> AdoptedCheckpoint:
    """Writes the checkpoint `OUT/adopted` unless that is already done.

    Args:
        config: names the weights, the network and the data.
        source: a network in memory; None reads the file of the config.

    Raises:
        ValueError: if the file cannot be read without running code, or weights, network and data do not fit each other.
    """
    pictures = pictures_of(config)
    source = source or source_of(config)
    torch.set_num_threads(config.cores)
    adopted = adopt_network(source, pictures.spec)  # before the run folder is created: most mistakes show here
    folder = RunFolder(config.run)
    with folder.held():
        write_record(config, folder.path)
        ran = folder.do(_stage(adopted, source, pictures))
    notes = [*adopted.notes, *_scaling_note(config)]
    return AdoptedCheckpoint(checkpoint=folder.path / STAGE, notes=notes if ran else [])


def source_of(config: AdoptConfig) -> Source:
    """The network that the flags name; reads its weights."""
    code = read_code(config.code) if config.code else None
    arguments = parse_arguments(config.model_arguments)
    weights = read_weights(config.weights, key=config.key)
    return Source(weights=weights, model=config.model, arguments=arguments, code=code, output=config.output)


def pictures_of(config: AdoptConfig) -> Pictures:
    """The data, normalised as the network was trained, with its classes.

    Raises:
        ValueError: if the network has another number of classes than the data.
    """
    pictures = open_pictures(config)
    spec = pictures.spec
    if config.num_classes not in (0, spec.num_classes):
        raise ValueError(
            f"--num_classes is {config.num_classes} and the data has {spec.num_classes} ({', '.join(spec.classes)}); "
            "give data of the classes that the network was trained for"
        )
    names = checked_class_names(config.class_names, spec)
    own = None if config.says_scaling else pretrained_scaling(config.model, parse_arguments(config.model_arguments))
    return replace(pictures, spec=replace(spec, classes=names)).scaled(own or config.mean_and_std)


def _stage(adopted: Adopted, source: Source, pictures: Pictures) -> Stage:
    """The stage that scores the network and writes its checkpoint."""

    def run(work: Path) -> None:
        network, spec = adopted.network, pictures.spec
        metrics = {
            "val_miou": evaluate(network, pictures.validation, spec).miou,
            "parameters": count_parameters(network),
            "multiply_adds": multiply_adds(network, spec),
        }
        save_checkpoint(network, replace(adopted.card, metrics=metrics), work / STAGE)
        for name in copies:
            (work / STAGE / name).write_text(card.code["source"], encoding="utf-8", newline="")

    card = adopted.card
    copies = code_copies(card)  # to be read: what runs is the source in the card
    inputs: dict[str, Any] = {"weights": _digest(source), "builder": card.builder, "arguments": dict(card.arguments)}
    inputs |= {"code": card.code.get("sha256", ""), "outputs": dict(card.outputs)}
    inputs |= {"data": pictures.fingerprint, "spec": pictures.spec.to_dict()}
    return Stage(name=STAGE, inputs=inputs, outputs=[f"{STAGE}/{name}" for name in (WEIGHTS, CARD, *copies)], run=run)


def _digest(source: Source) -> str:
    """SHA-256 of the names and values of all weights."""
    digest = hashlib.sha256()
    for name, tensor in source.weights.tensors.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _scaling_note(config: AdoptConfig) -> list[str]:
    if config.says_scaling or not config.code:
        return []
    return [
        "images are scaled with mean and standard deviation of ImageNet, because the flags do not say otherwise: give "
        "--scaling 0-1, or --mean and --std, if the network was trained in another way"
    ]


def _next_commands(config: AdoptConfig, checkpoint: Path) -> list[str]:
    """How to go on: commands that take the checkpoint."""
    given = checkpoint_argument(checkpoint)
    defaults = {field.name: field.default for field in fields(DataConfig)}
    stated = {name: value for name in PICTURE_FLAGS if (value := getattr(config, name)) != defaults[name]}
    data = [f"--{name} {shlex.quote(str(value))}" for name, value in stated.items()]
    compressible = read_card(checkpoint).builder != PROGRAM
    lines = [f"{other_command('compress')} {given}"] if compressible else []
    lines.append(" ".join([other_command("distill"), *data, f"--teacher_checkpoint {given}"]))
    return [*lines, f"{other_command('export')} {given}"]
