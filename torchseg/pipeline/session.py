"""What every training command needs around its stages: folder, log, processes, and a record of both."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
import yaml
from lightning_fabric import Fabric

from torchseg.config import DataConfig, LearningConfig
from torchseg.pipeline.environment import ENVIRONMENT, environment_record
from torchseg.pipeline.run_folder import RunFolder
from torchseg.train import training_precision

CONFIG, LOG = "config.yaml", "run.log"


@contextmanager
def open_session(config: LearningConfig) -> Iterator[tuple[RunFolder, Fabric]]:
    """Opens the run folder and launches the processes; records configuration, environment and log in the folder.

    Under the launcher of Lightning Fabric its environment decides about device and processes; otherwise Fabric takes
    what it finds, one process.

    Raises:
        ValueError: if another command is running in the folder.
    """
    torch.set_num_threads(config.cores)
    fabric = launch()
    folder = RunFolder(config.run)
    fabric.barrier()
    with folder.held() if fabric.is_global_zero else nullcontext():
        if fabric.is_global_zero:
            if config.fresh:
                folder.forget()
            write_record(config, folder.path)
        fabric.barrier()
        log = _open_log(folder.path / LOG) if fabric.is_global_zero else None
        try:
            yield folder, fabric
        finally:
            if log:
                logging.getLogger().removeHandler(log)
                log.close()


def launch() -> Fabric:
    """Device, precision and processes as the launcher says, or one process on what there is."""
    launched = "LT_CLI_USED" in os.environ
    # The launcher's own choice of precision must win; Fabric refuses two that differ.
    precision = None if os.environ.get("LT_PRECISION") else training_precision()
    fabric = Fabric(precision=precision) if launched else Fabric(precision=precision, devices=1)
    if not launched:
        fabric.launch()
    return fabric


def write_record(config: DataConfig, folder: Path) -> None:
    """Writes `config.yaml`, which `--config` reads, and `environment.json`."""
    values = {
        key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(config).items()
    }
    values.pop("fresh", None)
    (folder / CONFIG).write_text(yaml.safe_dump(values, sort_keys=False))
    record = environment_record(config.cores) | {"training_precision": training_precision()}
    (folder / ENVIRONMENT).write_text(json.dumps(record, indent=2) + "\n")


def _open_log(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("torchseg", "tf_bridge"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    return handler
