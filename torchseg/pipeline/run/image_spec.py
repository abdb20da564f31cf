"""The image spec of a model file: from its metadata, its checkpoint, or the flags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tf_bridge.end_to_end import end_to_end_spec
from torchseg.checkpoint import read_card
from torchseg.harness.scoring.artifact import Artifact
from torchseg.modelfile.model_file import ModelFile
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
    own = recorded_file_spec(artifact, wanted)
    if own is not None:
        return _same_classes(own, wanted, artifact.path)
    image = artifact.file.image
    if image is None:
        return wanted
    scaling = end_to_end_spec(wanted) if image.pixels else wanted
    return replace(scaling, height=image.height or wanted.height, width=image.width or wanted.width)


def recorded_file_spec(artifact: Artifact, wanted: ImageSpec) -> ImageSpec | None:
    """What is recorded of the file's images, see `file_spec`; None for a file of another tool."""
    own = artifact.spec or artifact.file.spec_for((wanted.height, wanted.width))
    if own is None and artifact.reference is not None:
        own = read_card(artifact.reference).spec
    return own


def _same_classes(own: ImageSpec, wanted: ImageSpec, path: Path) -> ImageSpec:
    if own.num_classes != wanted.num_classes:
        raise ValueError(
            f"{path} has {own.num_classes} classes ({', '.join(own.classes)}) and the data has "
            f"{wanted.num_classes} ({', '.join(wanted.classes)}); give images of the classes that it was made for"
        )
    return replace(own, classes=wanted.classes, ignore_index=wanted.ignore_index)


def spec_of(model: ModelFile) -> ImageSpec:
    """The spec of a model: from a checkpoint's card, an exported file's metadata, or the run folder that it is in.

    Raises:
        ValueError: if none of them has it.
    """
    spec = recorded_spec_of(model)
    if spec is None:
        raise ValueError(
            f"{model.path} does not say how its images are scaled; say it, e.g. --scaling 0-1 or imagenet, or give a "
            "file that export or import_tf made"
        )
    return spec


def recorded_spec_of(model: ModelFile) -> ImageSpec | None:
    """Like `spec_of`, but None for a file of another tool."""
    if model.kind == "torch":
        return model.card.spec
    known = _spec_in_run(model.path)
    return model.spec_for((known.height, known.width) if known else None) or known


def _spec_in_run(model: Path) -> ImageSpec | None:
    """The spec of the run's network after which the file is named; None if there is none."""
    stage = model.name.split(".")[0]
    try:
        run = run_of(model)
        imported = read_imported(run, stage)
        return imported.spec if imported else read_card(run / stage).spec
    except ValueError:
        return None
