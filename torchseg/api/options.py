"""Flags of the commands that the functions of the API take under the same names, with the same defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, get_type_hints

from torchseg.cli import config_from

Config = TypeVar("Config")
Listed = str | Sequence[str] | Sequence[float]
"""Several words or numbers: a list, or as the flag takes them."""
Named = str | Mapping[str, Any]
"""Values by name: a dictionary, or as the flag takes them."""


def config_for(config_class: type[Config], flags: Mapping[str, object]) -> Config:
    """The configuration of a command; lists and dictionaries become the texts that its flags take.

    Raises:
        ValueError: for a flag that does not exist, or a value that does not fit it.
    """
    types = get_type_hints(config_class)
    return config_from(
        config_class, {name: _text(value) if types.get(name) is str else value for name, value in flags.items()}
    )


def _text(value: object) -> object:
    if isinstance(value, Mapping):
        return ",".join(f"{name}={_word(each)}" for name, each in value.items())
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def _word(value: object) -> str:
    """As YAML writes it, which is how the flag is read."""
    import yaml

    return yaml.safe_dump([value], default_flow_style=True, width=10**6).strip()[1:-1]


class CommonOptions(TypedDict, total=False):
    """Of every function that computes."""

    seed: int
    threads: int | Literal["auto"]


class LearningOptions(CommonOptions, total=False):
    """Of every function that trains."""

    batch_size: int
    learning_rate: float
    schedule: str
    loss: str
    class_weights: Listed
    training_precision: Literal["auto", "fp32", "bf16"]
    micro_batches: Literal[1, 2, "auto"]
    device: Literal["auto", "cpu", "cuda"]
    workers: int
    cache_gb: float | Literal["auto"]
    fresh: bool


class TrainOptions(LearningOptions, total=False):
    """Of `train`; what is about the teacher needs one."""

    temperature: float
    alpha: float
    views: int | None
    soft_loss: Literal["mean", "picture_sum", "over_width"]


class CompressOptions(LearningOptions, total=False):
    """Of `compress`."""

    temperature: float
    alpha: float
    channel_sparsity: float
    channel_epochs: int
    importance: Literal["magnitude", "batch_norm", "taylor"]
    prune_epochs: int
    cluster_epochs: int
    prune_begin: str
    prune_end: str
    prune_frequency: str
    prune_mode: Literal["gradual", "one_shot"]
    prune_layers: Named
    prune_smallest: float
    prune_exclude: Listed
    cluster_per: Literal["channel", "tensor"]
    cluster_start: Literal["optimal", "density", "linear", "kmeans++"]
    cluster_layers: Named
    cluster_exclude: Listed
    pack: bool


class ExportOptions(CommonOptions, total=False):
    """Of `export`."""

    max_drop: float | None
    max_class_drop: float | None
    qat_epochs: int
    end_to_end: bool
    dynamic_shape: bool
    io: Listed
    training_precision: Literal["auto", "fp32", "bf16"]
    device: Literal["auto", "cpu", "cuda"]
    workers: int


class ScoreOptions(CommonOptions, total=False):
    """Of `score`."""

    runtimes: Listed
    thread_counts: Listed
    jobs: int | Literal["auto"]
    mean: Listed
    std: Listed
