"""Stages that copy a trained network into the run: a given teacher, or the network to compress."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torchseg.checkpoint import load_checkpoint, read_card, save_checkpoint, sha256_of
from torchseg.pipeline.run.folder import Stage
from torchseg.spec import ImageSpec


def given_teacher(checkpoint: Path, spec: ImageSpec) -> Stage:
    """The stage that copies a trained teacher into the run.

    Raises:
        ValueError: if it is not a checkpoint, or was trained for other classes or another normalisation.
    """
    card = read_card(checkpoint)
    theirs = card.spec
    if theirs.classes != spec.classes:
        raise ValueError(
            f"teacher {checkpoint} knows the classes {', '.join(theirs.classes)}, but the data has "
            f"{', '.join(spec.classes)}; train a teacher on this data or choose the data that it knows"
        )
    if (theirs.channels, theirs.mean, theirs.std) != (spec.channels, spec.mean, spec.std):
        raise ValueError(f"teacher {checkpoint} scales images in another way than this run; train it again")

    return copied(checkpoint, "teacher", spec)


def copied(checkpoint: Path, stage: str, spec: ImageSpec) -> Stage:
    """The stage that copies a trained network into the run under the name `stage`, for images of this spec."""

    def run(work: Path) -> None:
        network, card = load_checkpoint(checkpoint)
        save_checkpoint(network, replace(card, stage=stage, spec=spec), work / stage)

    inputs = {"weights": sha256_of(checkpoint / "model.safetensors"), "card": sha256_of(checkpoint / "card.json")}
    outputs = [f"{stage}/model.safetensors", f"{stage}/card.json"]
    return Stage(name=stage, inputs={**inputs, "spec": spec.to_dict()}, outputs=outputs, run=run)
