"""Exports further networks of a run in a second process: conversion keeps one core busy, and the others idle."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pickle import PicklingError

import torch

from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.stages.export import Exporter

Files = Mapping[str, Sequence[tuple[str, str]]]
"""Pairs of format and precision for each network, by the name of its stage."""


@contextmanager
def export_beside(exporter: Exporter, files: Files, *, cores: int) -> Iterator[Callable[[], set[str]]]:
    """Does these export stages in another process while the caller is busy with its own.

    It is only ahead of the caller, who does the same stages afterwards: those that went well are done by then, and
    what went wrong happens again where it is told.

    Args:
        exporter: of the run.
        files: to be made.
        cores: that may compute; with one there is nothing to gain.

    Yields:
        A function that waits for the other process, and gives the names of the stages that were left to it.
    """
    left = {stage.name for stage in _stages(exporter, files) if not exporter.folder.is_done(stage)}
    if cores < 2 or not left:
        yield set
        return
    process = multiprocessing.get_context("spawn").Process(target=_export, args=(exporter, files), daemon=True)
    try:
        process.start()
    except (
        PicklingError,
        AttributeError,
        TypeError,
    ):  # pictures not all cached, of a reader that cannot be handed over
        yield set
        return

    def wait() -> set[str]:
        process.join()
        return left

    try:
        yield wait
    finally:
        process.kill()
        process.join()


def _export(exporter: Exporter, files: Files) -> None:
    torch.set_num_threads(1)
    for stage in _stages(exporter, files):
        with suppress(Exception):
            exporter.folder.do(stage)


def _stages(exporter: Exporter, files: Files) -> Iterator[Stage]:
    for network, chosen in files.items():
        yield from exporter.stages(network, chosen)
