"""Reads the flags that a run was made with."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path

from torchseg.config import DataConfig
from torchseg.pipeline.run.session import CONFIG
from torchseg.record import build, read_yaml

# Flags that select the images and the size at which the networks see them.
_RULES = ("mask_suffix", "ignore_value", "ignore_classes", "merge", "group", "split", "fold")
_CUT = ("patch_size", "patch_overlap")
PICTURE_FLAGS = ("data", "root", "image_size", "channels", "value_range", "exif", *_CUT, *_RULES)
DATA_FIELDS = ("data", "root", "size", "channels", "values", "exif", *_CUT, *_RULES)  # the same, parsed


_REMEDY = "give --data and --root instead, or run the command that made the run again"


def recorded_config(run: Path, *, root: Path | None = None) -> DataConfig:
    """The data flags in a run's `config.yaml`.

    Args:
        run: its folder.
        root: the data set's folder, if it has moved since. Default: the recorded one.

    Raises:
        ValueError: if it is not a run folder, or its record is damaged.
    """
    path = run / CONFIG
    if not path.is_file():
        raise ValueError(f"{run} is not a run folder: it has no {CONFIG}; give one that distill made")
    values = read_yaml(path, remedy=_REMEDY)
    names = {field.name for field in dataclasses.fields(DataConfig)}
    known = {name: value for name, value in values.items() if name in names}
    known.setdefault("channels", 3)  # as runs before this flag read every image
    known |= {"root": (known.get("root") or None) if root is None else str(root), "download": False}
    return build(DataConfig, known, path=path, remedy=_REMEDY)


def data_of_run(config: DataConfig, path: Path) -> DataConfig:
    """The data flags of a command on a file or folder of a run: its own, or those of the run if it names no data.

    Args:
        config: of the command; without `data`, its `root` is where the images of the run are now.
        path: file or folder.

    Raises:
        ValueError: if the command names no data, and the path is in no run or a flag contradicts the run.
    """
    if config.data:
        return config
    recorded = recorded_config(run_of(path), root=config.root)
    check_no_contradiction(config, recorded)
    return recorded


def check_no_contradiction(config: DataConfig, recorded: DataConfig, *, besides: Collection[str] = ()) -> None:
    """Raises ValueError for a flag that would have no effect: without `data`, images are read as the run read them.

    Args:
        config: of a command that names no data.
        recorded: the data flags of the run.
        besides: flags about the images that the command uses all the same.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(DataConfig)}
    for flag, name in zip(PICTURE_FLAGS, DATA_FIELDS, strict=True):
        given = getattr(config, flag)
        if flag in ("data", "root", *besides) or given == defaults[flag]:
            continue
        if getattr(config, name) != getattr(recorded, name):
            raise ValueError(
                f"--{flag} is {given}, but the run was made with {getattr(recorded, flag) or 'the default'}, and its "
                "images are read as the run read them: drop the flag, or name the data with --data and --root, too"
            )


def run_of(path: Path) -> Path:
    """The run folder that a file or folder is in: the nearest folder at or above it with a `config.yaml`.

    Raises:
        ValueError: if there is none.
    """
    for folder in (path.resolve(), *path.resolve().parents):
        if (folder / CONFIG).is_file():
            return folder
    raise ValueError(f"{path} is not in a run folder (one with a {CONFIG}); give a file of a run by distill")


def check_same_data(config: DataConfig, run: Path) -> None:
    """Raises ValueError unless the flags select the same images at the same size as the run did."""
    recorded = recorded_config(run)
    for name in (name for name in DATA_FIELDS if name != "channels" or config.channels):
        asked, known = getattr(config, name), getattr(recorded, name)
        if (Path(asked).resolve() != Path(known).resolve()) if name == "root" and asked and known else asked != known:
            raise ValueError(f"{run} was made with {name} {known} and {asked} came; give the same, or another --out")
