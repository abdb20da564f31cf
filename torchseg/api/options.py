"""Flags of the commands that the functions of the API take under the same names, with the same defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypedDict


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
    class_weights: str
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
    prune_layers: str
    prune_smallest: float
    prune_exclude: str
    cluster_per: Literal["channel", "tensor"]
    cluster_start: Literal["optimal", "density", "linear", "kmeans++"]
    cluster_layers: str
    cluster_exclude: str
    pack: bool


class ExportOptions(CommonOptions, total=False):
    """Of `export`."""

    max_drop: float | None
    max_class_drop: float | None
    qat_epochs: int
    end_to_end: bool
    dynamic_shape: bool
    io: str
    training_precision: Literal["auto", "fp32", "bf16"]
    device: Literal["auto", "cpu", "cuda"]
    workers: int


class ScoreOptions(CommonOptions, total=False):
    """Of `score`."""

    against: Path | None
    runtimes: str
    thread_counts: str
    jobs: int | Literal["auto"]
    mean: str
    std: str
