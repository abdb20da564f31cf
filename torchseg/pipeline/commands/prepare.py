"""The prepare command: inspects a data set before anything is trained on it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from torchseg.cli.command import CHECK_FAILED, DONE, other_command
from torchseg.config import PrepareConfig
from torchseg.data import DataSet, Inspection, grouped, inspect_data, write_folder
from torchseg.data.datasets.folder import MOST_STRATIFIED
from torchseg.data.images.identical import image_files
from torchseg.data.images.io import PARTS, write_lists
from torchseg.data.inspection import listed
from torchseg.data.repair import LIST as REPAIRS
from torchseg.data.repair import repair_folder
from torchseg.metrics.resampled import ENOUGH_PICTURES
from torchseg.pipeline.run.dataset import image_reader, open_configured
from torchseg.progress_bar import Progress

_SHOWN = 20  # faults at most


def prepare(config: PrepareConfig) -> int:
    """Prints the data set's contents and faults, and writes the copy if there are no faults; returns 1 for faults."""
    repaired = config.fix
    if repaired:
        config = _fixed(config)
    data = open_configured(config)
    if repaired and config.split != "auto":  # as for the original, whose lists the copy has
        write_lists({part: image_files(getattr(data, part)) for part in PARTS}, repaired)
    total = sum(len(part) for part in (data.train, data.validation, data.test, data.transfer))
    with Progress(total, "checking", unit="image", says_end=False) as bar:
        found = inspect_data(data, on_picture=bar.advance)
    print("\n".join(table_lines(data, found)))
    if data.images.value_range is not None:
        low, high = data.images.value_range
        print(f"  note     values from {low:g} to {high:g} become 0 to 255; --value_range LOW,HIGH sets others")
    for note in data.notes:
        print(f"  note     {note}")
    if data.splits_chosen_by and not config.fold and len(data.test) < ENOUGH_PICTURES:
        flags = f"--data {config.data} --root {shlex.quote(str(config.root))}"
        advice = f"{other_command('distill')} {flags} --folds 5 tests on every image once"
        print(f"  note     {len(data.test)} test images say little of accuracy; {advice}")
    for warning in found.warnings:
        print(f"  warning  {warning}")
    for advice in _advice(found, config, splits_chosen=bool(data.splits_chosen_by)):
        print(f"  advice   {advice}")
    for fault in found.faults[:_SHOWN]:
        print(f"  FAULT: {fault}")
    if found.faults:
        more = len(found.faults) - _SHOWN
        print(f"{found.fault_count} faults" + (f", {more} kinds of them not shown" if more > 0 else ""))
        return CHECK_FAILED
    print("no faults")
    if config.out:
        total -= len(data.transfer)  # without masks, so the copy leaves them out
        with Progress(total, "writing", unit="image", says_end=False) as bar:
            write_folder(data, config.out, size=config.size, on_picture=bar.advance)
        print(
            f"  next     {other_command('distill')} --data folder --root {config.out} --image_size {_text(config.size)}"
        )
    return DONE


def _fixed(config: PrepareConfig) -> PrepareConfig:
    """Writes the repaired copy, prints what was repaired, and gives the flags that open the copy."""
    if config.root is None:
        raise ValueError("fix mends a data set on disk: say where with --root FOLDER")
    assert config.fix
    with Progress(0, "repairing", unit="image") as bar:
        repairs = repair_folder(
            config.root,
            config.fix,
            mask_suffix=config.mask_suffix,
            ignore_value=config.ignore_value,
            images=image_reader(config),
            on_picture=bar.advance,
        )
    shown = grouped(repairs)
    for repair in shown[:_SHOWN]:
        print(f"  repair   {repair}")
    print(f"{len(repairs)} repairs in {config.fix / REPAIRS}; the copy in {config.fix}:")
    return replace(config, root=config.fix, fix=None, mask_suffix="", ignore_value=None)


def _advice(found: Inspection, config: PrepareConfig, *, splits_chosen: bool) -> list[str]:
    """What helps with classes that are rare or that a split lacks."""
    advice = []
    if found.rare:
        advice.append(
            f"for the rare {_classes(found.rare)}: train with --crop rare, --class_weights median_frequency or "
            "a --loss such as focal+dice"
        )
    labelled = sum(found.pictures[part] for part in ("train", "validation", "test"))
    if found.uneven and config.split == "auto" and not (splits_chosen and labelled <= MOST_STRATIFIED):
        offer = f"for {_classes(found.uneven)}: --split stratified makes splits that each show the class, if it can"
        if config.data != "folder":
            offer += "; write a plain copy first: --out DIR, and then --data folder --root DIR"
        elif not splits_chosen:
            offer += ", whatever lists or subfolders say"
        advice.append(offer)
    return advice


def _classes(names: Sequence[str]) -> str:
    return f"class{'es' * (len(names) > 1)} {listed(names)}"


def table_lines(data: DataSet, found: Inspection) -> list[str]:
    """One column per split that has images: their number, sizes, and the shares of classes and ignored pixels.

    The share of a class is of the valid pixels, that of ignored pixels of all.
    """
    parts = [part for part, count in found.pictures.items() if count]
    width = max(len(name) for name in (*data.classes, "pictures"))
    lines = [" " * width + "".join(f"{part:>20}" for part in parts)]
    lines.append(f"{'pictures':{width}}" + "".join(f"{found.pictures[part]:>20}" for part in parts))
    sizes = [_sizes(*found.sizes[part]) if part in found.sizes else "-" for part in parts]
    lines.append(f"{'sizes':{width}}" + "".join(f"{size:>20}" for size in sizes))
    for value, name in enumerate(data.classes):
        shares = [100 * found.pixels[part][value] / max(1, found.pixels[part].sum()) for part in parts]
        lines.append(f"{name:{width}}" + "".join(f"{share:>18.2f} %" if share else f"{'-':>20}" for share in shares))
    if any(found.ignored[part] for part in parts):
        shares = [100 * found.ignored[part] / max(1, found.pixels[part].sum() + found.ignored[part]) for part in parts]
        lines.append(f"{'(ignored)':{width}}" + "".join(f"{share:>18.2f} %" for share in shares))
    return lines


def _sizes(smallest: tuple[int, int], largest: tuple[int, int]) -> str:
    return _text(smallest, "x") if smallest == largest else f"{_text(smallest, 'x')} - {_text(largest, 'x')}"


def _text(size: tuple[int, int], between: str = ",") -> str:
    return f"{size[0]}{between}{size[1]}"
