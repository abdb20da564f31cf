"""Stages that copy a trained network into the run: a given teacher, or the network to compress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torchseg.checkpoint import CARD, WEIGHTS, Card, load_checkpoint, read_card, save_checkpoint, sha256_of
from torchseg.models import ENSEMBLE, Ensemble, ensemble_arguments
from torchseg.pipeline.run.folder import Stage
from torchseg.spec import ImageSpec

_TEACHER = "teacher"


def given_teacher(checkpoints: Sequence[Path], spec: ImageSpec) -> Stage:
    """The stage that copies a trained teacher into the run; several become one network that averages them.

    Raises:
        ValueError: if one is not a checkpoint, or was trained for other classes or another normalisation.
    """
    cards = [_fitting_card(checkpoint, spec) for checkpoint in checkpoints]
    if len(cards) == 1:
        return copied(checkpoints[0], _TEACHER, spec)
    for checkpoint, card in zip(checkpoints, cards, strict=True):
        if card.resized or card.folded or card.builder == ENSEMBLE:
            raise ValueError(
                f"teacher {checkpoint} is compressed or an ensemble itself, so it cannot be averaged with others; "
                "give networks as they were trained"
            )
    arguments = ensemble_arguments([(card.builder, card.arguments) for card in cards])
    card = Card(builder=ENSEMBLE, arguments=arguments, spec=spec, stage=_TEACHER)

    def run(work: Path) -> None:
        network = Ensemble([load_checkpoint(checkpoint)[0] for checkpoint in checkpoints])
        save_checkpoint(network, card, work / _TEACHER)

    return _stage(_TEACHER, checkpoints, spec, run)


def _fitting_card(checkpoint: Path, spec: ImageSpec) -> Card:
    card = read_card(checkpoint)
    theirs = card.spec
    if theirs.classes != spec.classes:
        raise ValueError(
            f"teacher {checkpoint} knows the classes {', '.join(theirs.classes)}, but the data has "
            f"{', '.join(spec.classes)}; train a teacher on this data or choose the data that it knows"
        )
    if (theirs.channels, theirs.mean, theirs.std) != (spec.channels, spec.mean, spec.std):
        raise ValueError(f"teacher {checkpoint} scales images in another way than this run; train it again")
    return card


def copied(checkpoint: Path, stage: str, spec: ImageSpec) -> Stage:
    """The stage that copies a trained network into the run under the name `stage`, for images of this spec."""

    def run(work: Path) -> None:
        network, card = load_checkpoint(checkpoint)
        save_checkpoint(network, replace(card, stage=stage, spec=spec), work / stage)

    return _stage(stage, [checkpoint], spec, run)


def _stage(name: str, checkpoints: Sequence[Path], spec: ImageSpec, run: Callable[[Path], None]) -> Stage:
    files = {"weights": WEIGHTS, "card": CARD}
    hashes = {key: " ".join(sha256_of(folder / file) for folder in checkpoints) for key, file in files.items()}
    outputs = [f"{name}/{WEIGHTS}", f"{name}/{CARD}"]
    return Stage(name=name, inputs={**hashes, "spec": spec.to_dict()}, outputs=outputs, run=run)
