"""What every training command needs around its stages: run folder, log, processes, and a record of the run."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import logging
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
import yaml
from lightning_fabric import Fabric

from torchseg.atomic_file import save_text
from torchseg.config import DataConfig, LearningConfig
from torchseg.console import STDOUT
from torchseg.harness.host import cpu_name
from torchseg.pipeline.run.folder import RunFolder
from torchseg.record import RecordError, build, read_json
from torchseg.train import FitConfig, choose_precision

CONFIG, LOG = "config.yaml", "run.log"
Config = TypeVar("Config", bound=LearningConfig)
LAUNCHED = "LT_CLI_USED"  # environment variable that the launcher of Fabric sets
_Wanted = Literal["auto", "fp32", "bf16"]
_LAUNCHER_PRECISIONS: Mapping[str, _Wanted] = {"32-true": "fp32", "32": "fp32", "bf16-mixed": "bf16"}

ENVIRONMENT = "environment.json"
_PACKAGES = (
    "torchseg-compress",
    "torch",
    "torchvision",
    "lightning-fabric",
    "onnx",
    "onnxruntime",
    "tensorflow",
    "ai-edge-litert",
    "openvino",
)


@dataclass(frozen=True)
class Session(Generic[Config]):
    """A running command: its run folder, its processes, and its flags with every `auto` replaced by a value."""

    folder: RunFolder
    fabric: Fabric
    config: Config


@contextmanager
def open_session(config: Config) -> Iterator[Session[Config]]:
    """Opens the run folder and launches the processes; records configuration, environment and log in the folder.

    Under the launcher of Lightning Fabric, the launcher's environment sets device and processes. Otherwise one process
    trains on the device of the flags.

    Raises:
        ValueError: if another command is running in the folder, or the flags ask for a device that is not there.
    """
    torch.set_num_threads(config.cores)
    fabric = launch(config)
    folder = RunFolder(config.run)
    fabric.barrier()
    log = _logged(folder.path / LOG) if fabric.is_global_zero else nullcontext()
    with folder.held() if fabric.is_global_zero else nullcontext(), log:
        decided = decide(config, fabric, folder.path)
        fabric.barrier()
        if fabric.is_global_zero:
            if config.fresh:
                folder.forget()
            write_record(config, folder.path, training=_training_record(decided, fabric))
        fabric.barrier()
        yield Session(folder, fabric, decided)


def launch(config: LearningConfig) -> Fabric:
    """Launches the processes and devices that the launcher sets, or one process on the device of the flags.

    Fabric does not set the precision: the training loop does.

    Raises:
        ValueError: if there is no such device.
    """
    if LAUNCHED in os.environ:
        return Fabric()
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, but PyTorch finds no GPU that it can use here; give --device cpu or auto")
    cuda = config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available())
    fabric = Fabric(accelerator="cuda" if cuda else "cpu", devices=1)
    fabric.launch()
    return fabric


def decide(config: Config, fabric: Fabric, run: Path) -> Config:
    """The flags with `auto` precision and micro-batches replaced by values.

    A run keeps the values that it was started with, so that one moved to another machine need not train again.

    Raises:
        ValueError: if flags and launcher contradict each other.
    """
    begun = {} if config.fresh else recorded_training(run)
    notes = []
    wanted = _of_launcher(config.training_precision)
    precision = choose_precision(begun.get("training_precision", "auto") if wanted == "auto" else wanted, fabric.device)
    if wanted == "auto" and precision == "bf16" and choose_precision("auto", fabric.device) == "fp32":
        notes.append(
            "was started with bf16, which this machine only emulates: it continues, slowly; --training_precision fp32 "
            "trains again in float32"
        )
    parts: Any = config.micro_batches
    if parts == "auto":
        whole = fabric.world_size > 1 or fabric.device.type != "cpu"
        wished = begun.get("micro_batches", 1 if whole else FitConfig.micro_batches)
        parts = min(wished, config.batch_size // 2)  # batch norm needs two images in each
    if fabric.world_size > 1 and parts > 1:
        if config.micro_batches != "auto":
            raise ValueError(f"micro_batches is {parts}, but several processes use whole batches; give 1 or auto")
        notes.append(
            "was started in one process with micro-batches; several processes use whole batches and train again"
        )
        parts = 1
    if fabric.is_global_zero:
        for note in notes:
            STDOUT.info(f"{run} {note}")
    return dataclasses.replace(config, training_precision=precision, micro_batches=parts)


def _of_launcher(wanted: _Wanted) -> _Wanted:
    """The precision that the flag or the launcher asks for; raises ValueError if they contradict each other."""
    text = os.environ.get("LT_PRECISION") if LAUNCHED in os.environ else None
    if not text:
        return wanted
    if text not in _LAUNCHER_PRECISIONS:
        known = ", ".join(_LAUNCHER_PRECISIONS)
        raise ValueError(f"the launcher's --precision is {text}; this training knows {known}")
    if wanted not in ("auto", _LAUNCHER_PRECISIONS[text]):
        raise ValueError(f"training_precision is {wanted}, but the launcher's --precision is {text}; give one of them")
    return _LAUNCHER_PRECISIONS[text]


@dataclass(frozen=True, kw_only=True)
class _RecordedTraining:
    """The settings of a run's trainings, as far as a resumed run takes them over."""

    training_precision: Literal["fp32", "bf16"]
    micro_batches: int


def recorded_training(run: Path) -> Mapping[str, Any]:
    """The settings that a run's trainings were made with; empty if there is no readable record."""
    path = run / ENVIRONMENT
    remedy = "the settings are chosen anew"
    try:
        values = read_json(path, remedy=remedy).get("training")
        training = build(_RecordedTraining, values, path=path, remedy=remedy, others_allowed=True)
    except RecordError:
        return {}
    return dataclasses.asdict(training)


def _training_record(config: LearningConfig, fabric: Fabric) -> dict[str, Any]:
    """The settings chosen for the trainings of a run."""
    return {
        "training_precision": config.training_precision,
        "micro_batches": config.micro_batches,
        "device": str(fabric.device),
        "processes": fabric.world_size,
        "workers": config.workers,
    }


def write_record(config: DataConfig, folder: Path, *, training: Mapping[str, Any] | None = None) -> None:
    """Writes `config.yaml`, which `--config` reads, and `environment.json`."""
    values = {
        key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(config).items()
    }
    values.pop("fresh", None)
    save_text(folder / CONFIG, yaml.safe_dump(values, sort_keys=False))
    record = environment_record(config.cores) | ({"training": dict(training)} if training else {})
    save_text(folder / ENVIRONMENT, json.dumps(record, indent=2) + "\n")


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Appends all log records to this file, which the first one creates: a run that starts over is emptied before."""
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("torchseg", "tf_bridge"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def environment_record(cores: int) -> dict[str, Any]:
    """Plain values for `environment.json`; `cores` is the number of cores that this process computes with."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": cpu_name(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": cores,
        "packages": {name: package_version(name) for name in _PACKAGES},
    }


def package_version(name: str) -> str:
    """Version of an installed package, or `not installed`."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
