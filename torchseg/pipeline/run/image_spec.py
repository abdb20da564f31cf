"""The image spec of a model file: from its metadata, its checkpoint, or the flags."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tf_bridge.end_to_end import end_to_end_spec
from torchseg.checkpoint import read_card
from torchseg.harness.scoring.artifact import Artifact
from torchseg.modelfile.describe import FileFacts, file_facts
from torchseg.modelfile.kinds import EXPORT_SUFFIXES
from torchseg.modelfile.metadata import METADATA_PREFIX
from torchseg.pipeline.run.imported import read_imported
from torchseg.pipeline.run.recorded_config import run_of
from torchseg.spec import ImageSpec


def file_spec(artifact: Artifact, wanted: ImageSpec) -> ImageSpec:
    """Image size and normalisation for one model file; the classes are always those of the data.

    The first source that has them is used: the run's record of an imported file or a checkpoint's card, the file's
    metadata, the card of the checkpoint that the file was exported from, then `wanted`. If only `wanted` is left, a
    file that takes integers gets raw values from 0 to 255.

    Args:
        artifact: to be scored.
        wanted: spec for a file without metadata; its classes are those of the data.

    Raises:
        ValueError: if the file has another number of classes than the data.
    """
    if artifact.spec is not None:
        return _same_classes(artifact.spec, wanted, artifact.path)
    if artifact.format == "torch":
        return _same_classes(read_card(artifact.folder).spec, wanted, artifact.path)
    facts = file_facts(artifact.path)
    own = own_spec(facts, wanted) if facts else None
    if own is None and artifact.reference is not None:
        own = read_card(artifact.reference).spec
    if own is not None:
        return _same_classes(own, wanted, artifact.path)
    if facts is None:
        return wanted
    scaling = end_to_end_spec(wanted) if facts.pixels else wanted
    return replace(scaling, height=facts.height or wanted.height, width=facts.width or wanted.width)


def file_size(artifact: Artifact) -> tuple[int, int] | None:
    """Height and width that a file was made for, in pixels; None if it takes any size or does not say."""
    if artifact.format == "torch":
        spec = read_card(artifact.folder).spec
        return spec.height, spec.width
    facts = file_facts(artifact.path)
    return (facts.height, facts.width) if facts and facts.height and facts.width else None


def file_precision(path: Path) -> str:
    """The precision in the file's metadata; empty if there is none."""
    facts = file_facts(path)
    return facts.texts.get(f"{METADATA_PREFIX}precision", "") if facts else ""


def own_spec(facts: FileFacts, wanted: ImageSpec | None) -> ImageSpec | None:
    """The spec that this project wrote into the file's metadata; None if another tool made the file.

    Args:
        facts: of the file.
        wanted: gives the size for a file that takes any size; if it is None, such a file has no spec.
    """
    height, width = (
        (facts.height, facts.width) if wanted is None else (facts.height or wanted.height, facts.width or wanted.width)
    )
    if height is None or width is None:
        return None
    texts = {key.removeprefix(METADATA_PREFIX): text for key, text in facts.texts.items()}
    try:
        return ImageSpec(
            height=height,
            width=width,
            classes=tuple(json.loads(texts["classes"])),
            channels=facts.channels or 3,
            mean=tuple(json.loads(texts["mean"])),
            std=tuple(json.loads(texts["std"])),
        )
    except (KeyError, TypeError, json.JSONDecodeError):
        return None


def _same_classes(own: ImageSpec, wanted: ImageSpec, path: Path) -> ImageSpec:
    if own.num_classes != wanted.num_classes:
        raise ValueError(
            f"{path} has {own.num_classes} classes ({', '.join(own.classes)}) and the data has "
            f"{wanted.num_classes} ({', '.join(wanted.classes)}); give pictures of the classes that it was made for"
        )
    return replace(own, classes=wanted.classes, ignore_index=wanted.ignore_index)


def spec_of(model: Path) -> ImageSpec:
    """The spec of a model: from a checkpoint's card, an exported file's metadata, or the run folder that it is in.

    Raises:
        ValueError: if none of them has it.
    """
    if model.suffix not in EXPORT_SUFFIXES or model.is_dir():
        return read_card(model if model.is_dir() else model.parent).spec
    facts = file_facts(model)
    known = _spec_in_run(model)
    spec = (own_spec(facts, known) if facts else None) or known
    if spec is None:
        raise ValueError(
            f"{model} does not say how its pictures are scaled and what its classes are; give a file that export or "
            "import_tf made"
        )
    return spec


def _spec_in_run(model: Path) -> ImageSpec | None:
    """The spec of the run's network after which the file is named; None if there is none."""
    stage = model.name.split(".")[0]
    try:
        run = run_of(model)
        imported = read_imported(run, stage)
        return imported.spec if imported else read_card(run / stage).spec
    except ValueError:
        return None
