"""The words that flags may use, and how lists of them are read."""

from __future__ import annotations

from typing import Literal

from torchseg.spec import nearest

FORMATS = ("onnx", "tflite")
SCHEDULES = ("cosine", "stable")
PRECISIONS = ("fp32", "fp16", "dynamic", "int8")
ENDS = ("uint8", "float")
# What a network's pixels may be, as (mean, std) of pictures in [0, 1].
SCALINGS = {
    "0-1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1-1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "0-255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
RUNTIME_NAMES = ("torch", "onnxruntime", "litert", "openvino")
SEARCH_ENGINES = ("nni", "optuna")
Auto = Literal["auto"]
"""A choice that is left to the program, which takes it from the machine or from what the run was begun with."""


def numbers(flag: str, text: str) -> tuple[float, ...]:
    """Numbers separated by commas; raises ValueError naming the flag."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{flag} is '{text}'; give numbers separated by commas, e.g. 0.5,0.5,0.5") from error


def choices(flag: str, text: str, known: tuple[str, ...]) -> list[str]:
    """Words separated by commas, each once; raises ValueError for one that is not known, or for none."""
    chosen = [item.strip() for item in text.split(",") if item.strip()]
    for item in chosen:
        if item not in known:
            raise ValueError(f"{flag} names '{item}'{nearest(item, known)}; choose from {', '.join(known)}")
    if not chosen:
        raise ValueError(f"{flag} is empty; choose from {', '.join(known)}")
    return list(dict.fromkeys(chosen))
