"""The image spec of a model file of another tool: from its shapes, the flags, and one run of the file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tf_bridge.end_to_end import end_to_end_spec
from torchseg.config import PredictConfig, ScoreConfig
from torchseg.data.inspection import listed
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.artifact import Artifact
from torchseg.modelfile.model_file import ModelFile
from torchseg.pipeline.run.image_spec import recorded_file_spec
from torchseg.spec import ImageSpec

_log = logging.getLogger(__name__)


def foreign_spec(file: ModelFile, flags: PredictConfig) -> ImageSpec:
    """Size, normalisation and classes for a file that does not say them.

    Raises:
        ValueError: if the flags do not say how images are scaled, or one of the others is still unknown; or if the file
            cannot be run.
    """
    image = file.image
    pixels, channels = image is not None and image.pixels, (image.channels if image else None) or 3
    scaling = flags.mean_and_std(channels)
    if scaling is None and not pixels:
        raise ValueError(
            f"{file.path} does not say how its images are scaled; say it, e.g. --scaling 0-1, -1-1, 0-255 or imagenet"
        )
    size = file.image_size or flags.size
    if size is None:
        raise ValueError(f"{file.path} takes images of any size; say which to give it, e.g. --image_size 256")
    mean, std = scaling or ((0.0,) * channels, (1.0,) * channels)
    spec = ImageSpec(
        height=size[0], width=size[1], classes=("0", "1"), channels=channels, mean=mean, std=std
    )  # two classes until they are counted
    names = flags.class_names or _counted_classes(file, spec, flags)
    return replace(end_to_end_spec(spec) if pixels else spec, classes=names)


def _counted_classes(file: ModelFile, spec: ImageSpec, flags: PredictConfig) -> tuple[str, ...]:
    """`class_0` and so on, as many as the file gives scores of for an empty image."""
    gives_classes = any(each.scale is None and "int" in each.dtype for each in file.outputs)
    if gives_classes or flags.output_kind == "classes":
        raise ValueError(
            f"{file.path} gives classes and does not say how many there are; give --classes NUMBER or names"
        )
    with RuntimeProcess(file.path, options=flags.run_options) as process:
        process.load()
        scores = process.predict(np.zeros((1, spec.channels, spec.height, spec.width), np.float32))
    return tuple(f"class_{index}" for index in range(max(2, scores.shape[1])))


def warn_of_assumed_scaling(artifacts: Sequence[Artifact], spec: ImageSpec, config: ScoreConfig) -> None:
    """One warning for all files of which neither they nor the flags say how images are scaled for them."""
    guessed = [each for each in artifacts if _lacks_scaling(each, spec, config)]
    if paths := [str(path) for path in dict.fromkeys(each.path for each in guessed)]:
        _log.warning(
            "%s %s images are scaled, so they are scaled like those of the data set: mean %s, standard deviation %s; "
            "--scaling sets another range",
            listed(paths),
            "does not say how its" if len(paths) == 1 else "do not say how their",
            ", ".join(f"{value:g}" for value in spec.mean),
            ", ".join(f"{value:g}" for value in spec.std),
        )


def _lacks_scaling(artifact: Artifact, spec: ImageSpec, config: ScoreConfig) -> bool:
    """Whether neither the file nor the flags say how images are scaled for it."""
    takes_pixels = artifact.file.image is not None and artifact.file.image.pixels
    if takes_pixels or config.mean_and_std(spec.channels) is not None:
        return False
    return recorded_file_spec(artifact, spec) is None
