"""Flags of the commands that the API takes as keyword arguments of the same names and defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, get_type_hints

from torchseg.cli.command import config_from

Config = TypeVar("Config")
Listed = str | Sequence[str] | Sequence[float]
"""A list, or its items separated by commas as the flag takes them."""
Named = str | Mapping[str, Any]
"""A dictionary, or NAME=VALUE pairs separated by commas as the flag takes them."""


def config_for(config_class: type[Config], flags: Mapping[str, object]) -> Config:
    """Builds the config of a command; lists and dictionaries become the text that its flags take.

    Raises:
        ValueError: for an unknown flag, or a value of the wrong type.
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
    """As YAML writes it, because the flag is parsed as YAML."""
    import yaml

    return yaml.safe_dump([value], default_flow_style=True, width=10**6).strip()[1:-1]


class CommonOptions(TypedDict, total=False):
    """Options of every function that computes."""

    seed: int
    threads: int | Literal["auto"]


class LearningOptions(CommonOptions, total=False):
    """Options of every function that trains."""

    batch_size: int
    learning_rate: float | None
    optimizer: Literal["adamw", "adam", "sgd"]
    weight_decay: float
    schedule: str
    loss: str
    class_weights: Listed
    crop: Literal["random", "rare"]
    flip: Literal["random", "none"]
    training_precision: Literal["auto", "fp32", "bf16"]
    micro_batches: Literal[1, 2, "auto"]
    device: Literal["auto", "cpu", "cuda"]
    workers: int
    cache_gb: float | Literal["auto"]
    fresh: bool


class TrainOptions(LearningOptions, total=False):
    """Options of `train`; those after `std` need a teacher."""

    ema: float
    progressive: float
    mean: Listed
    std: Listed
    temperature: float
    alpha: float
    soft_loss: str
    transfer_ratio: float
    distort: bool
    views: int | None
    feature_weight: float


class CompressOptions(LearningOptions, total=False):
    """Options of `compress`."""

    temperature: float
    alpha: float
    soft_loss: str
    transfer_ratio: float
    distort: bool
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
    cluster_per: Literal["channel", "scaled", "tensor"]
    cluster_start: Literal["optimal", "density", "linear", "kmeans++"]
    cluster_layers: Named
    cluster_exclude: Listed
    pack: bool


class ExportOptions(CommonOptions, total=False):
    """Options of `export`."""

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
    """Options of `score`."""

    runtimes: Listed
    thread_counts: Listed
    on_split: Literal["train", "validation", "test"]
    jobs: int | Literal["auto"]
    scaling: str
    mean: Listed
    std: Listed
    colour_order: Literal["RGB", "BGR"]
    output: str
    output_kind: Literal["auto", "logit", "probability", "mask255", "classes"]
    max_memory: float | Literal["auto"]
    max_minutes: float | Literal["auto"]
