"""How a model file wants its pictures: from its own words, its checkpoint, or the flags."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tf_bridge.end_to_end import end_to_end_spec
from torchseg.checkpoint import read_card
from torchseg.harness.scoring.artifact import Artifact
from torchseg.modelfile.describe import FileFacts, file_facts
from torchseg.modelfile.metadata import METADATA_PREFIX
from torchseg.pipeline.run.imported import read_imported
from torchseg.pipeline.run.recorded_config import run_of
from torchseg.spec import ImageSpec


def file_spec(artifact: Artifact, wanted: ImageSpec) -> ImageSpec:
    """Size and scaling of the pictures for one file; classes are always those of the data.

    What the run knows of an imported file, or a checkpoint's card, comes first, then what the file says about itself,
    then the card of the checkpoint that it was exported from, then `wanted`. A file of whole numbers gets plain pixels.

    Args:
        artifact: to be scored.
        wanted: what holds for a file that says nothing; its classes are those of the data.

    Raises:
        ValueError: if the file tells another number of classes apart than the data has.
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
    """Height and width that a file was made for; None if it takes pictures of any size or does not say."""
    if artifact.format == "torch":
        spec = read_card(artifact.folder).spec
        return spec.height, spec.width
    facts = file_facts(artifact.path)
    return (facts.height, facts.width) if facts and facts.height and facts.width else None


def file_precision(path: Path) -> str:
    """What the file says of its precision; empty if it says nothing."""
    facts = file_facts(path)
    return facts.texts.get(f"{METADATA_PREFIX}precision", "") if facts else ""


def own_spec(facts: FileFacts, wanted: ImageSpec | None) -> ImageSpec | None:
    """The spec that this project wrote into the file; None if another tool made it.

    Args:
        facts: of the file.
        wanted: has the size for a file that takes any; without it such a file has no spec.
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
            f"{path} tells {own.num_classes} classes apart ({', '.join(own.classes)}) and the data has "
            f"{wanted.num_classes} ({', '.join(wanted.classes)}); give pictures of the classes that it was made for"
        )
    return replace(own, classes=wanted.classes, ignore_index=wanted.ignore_index)


def spec_of(model: Path) -> ImageSpec:
    """From a checkpoint's card, from what an exported file says about itself, or from the run that it lies in.

    Raises:
        ValueError: if nothing says it.
    """
    if model.suffix not in (".onnx", ".tflite") or model.is_dir():
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
    """Of the network of the run that bears the file's name; None if there is none."""
    stage = model.name.split(".")[0]
    try:
        run = run_of(model)
        imported = read_imported(run, stage)
        return imported.spec if imported else read_card(run / stage).spec
    except ValueError:
        return None
