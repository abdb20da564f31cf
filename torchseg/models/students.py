"""The family of students to choose from by size and speed. A new student is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Student(NamedTuple):
    """A network of the family: the name of its builder, and the builder's arguments."""

    model: str
    arguments: Mapping[str, Any]


def _lite(encoder: str, cut: int, *widths: int) -> Student:
    return Student("lite_student", {"encoder": encoder, "cut": cut, "decoder_widths": list(widths)})


# By rising multiply-adds. With few parameters a file is small; `lite_student` can start from ImageNet weights.
STUDENTS: Mapping[str, Student] = {
    "small_unet_4": Student("small_unet", {"base_width": 4}),
    "lite0_cut8_narrow": _lite("lite0", 8, 16, 16),
    "lite0_cut8": _lite("lite0", 8, 32, 32),
    "lite0_cut16": _lite("lite0", 16, 48, 32, 16),
    "lite1_cut8": _lite("lite1", 8, 32, 32),
    "fast_unet_16": Student("fast_unet", {"base_width": 16}),
    "lite0_cut8_wide": _lite("lite0", 8, 64, 32),
    "lite1_cut16": _lite("lite1", 16, 48, 32, 16),
    "lite0_cut32": _lite("lite0", 32, 64, 48, 32, 16),
    "lite2_cut16": _lite("lite2", 16, 48, 32, 16),
    "small_unet_8": Student("small_unet", {"base_width": 8}),
    "lite0_cut16_wide": _lite("lite0", 16, 64, 48, 32),
    "lite2_cut16_wide": _lite("lite2", 16, 64, 48, 32),
    "lite2_cut32_wide": _lite("lite2", 32, 96, 64, 48, 32),
    "fast_unet_24": Student("fast_unet", {"base_width": 24}),
    "fast_unet_32": Student("fast_unet", {"base_width": 32}),
    "small_unet_16": Student("small_unet", {"base_width": 16}),
}
