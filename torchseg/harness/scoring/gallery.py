"""Saves the gallery of a run: images with best, median and worst scores, and the worst of each class."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.atomic_file import naming, partial_file
from torchseg.data import Sample, Samples
from torchseg.data.images.reader import grey_or_colours
from torchseg.harness.drawing import indexed
from torchseg.harness.scoring.accuracy import Labels, Pictures
from torchseg.harness.scoring.measurement import Measured
from torchseg.spec import ImageSpec

FOLDER = "figures/gallery"
INDEX = "figures/gallery.json"
_PER_RANK = 2  # images
Predict = Callable[[Sequence[Measured], Pictures], list[Labels | None]]
"""Classes `(B, H, W)` that each file predicts for pictures `(B, H, W, C)`; None for a file that fails."""


def save_gallery(files: Sequence[Measured], samples: Samples, spec: ImageSpec, out: Path, *, predict: Predict) -> None:
    """Writes image, true mask and each file's labels for some samples as PNGs, and an index.

    Labels are palette PNGs: pixel values are classes, 255 is unknown. Samples are chosen by the IoU per image of the
    leader: the student's checkpoint, or the first file that works. `predict` gives the labels of files for pictures.
    """
    working = list({id(each.accumulator): each for each in reversed(files) if not each.reason}.values())[::-1]
    if not working:
        (out / INDEX).unlink(missing_ok=True)  # the images of an earlier call belong to other files
        return
    leader = next((each for each in working if _is_student(each)), working[0])
    chosen = choose(leader.accumulator.image_miou)
    chosen += choose_of_classes(leader.accumulator.class_worst, spec.classes, taken=[at for _, at in chosen])
    folder = out / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    picked = [samples[at] for _, at in chosen]
    found = predict(working, np.stack([sample.picture for sample in picked]))
    entries = []
    for number, ((rank, at), sample) in enumerate(zip(chosen, picked, strict=True)):
        labels = {each.key: part[number] for each, part in zip(working, found, strict=True) if part is not None}
        entry = {"name": sample.name, "rank": rank, "miou": round(leader.accumulator.image_miou[at], 6)}
        entries.append(entry | _save(out, number, sample, labels))
    keys = {each.artifact.folder: each.key for each in reversed(working)}
    index = {
        "leader": leader.key,
        "classes": list(spec.classes),
        "artifacts": [_description(each, keys) for each in working],
        "samples": entries,
    }
    with partial_file(out / INDEX) as partial:
        partial.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def choose(image_miou: Sequence[float]) -> list[tuple[str, int]]:
    """Picks the two samples with the highest, middle and lowest scores, none of them twice.

    Args:
        image_miou: score per sample; NaN (no known pixel in the image) is chosen only if all are NaN.

    Returns:
        `(rank, index)` with rank `best`, `median` or `worst`, best first.
    """
    order = sorted(range(len(image_miou)), key=lambda at: (-np.nan_to_num(image_miou[at], nan=-1.0), at))
    order = [at for at in order if not np.isnan(image_miou[at])] or order
    if len(order) <= 3 * _PER_RANK:
        third = -(-len(order) // 3)
        ranks = ["best"] * third + ["median"] * third + ["worst"] * third
        return list(zip(ranks, order, strict=False))
    middle = (len(order) - _PER_RANK) // 2
    groups = {"best": order[:_PER_RANK], "median": order[middle : middle + _PER_RANK], "worst": order[-_PER_RANK:]}
    return [(rank, at) for rank, group in groups.items() for at in group]


def choose_of_classes(
    worst: Mapping[int, tuple[float, int]], classes: Sequence[str], *, taken: Sequence[int], most: int = 8
) -> list[tuple[str, int]]:
    """Picks the worst image of each class, for at most `most` classes, those with the lowest IoU.

    Args:
        worst: lowest IoU and the image that has it, by index of the class.
        classes: names of the classes.
        taken: images that were chosen already, which are not picked again.
        most: classes to show.

    Returns:
        `(rank, image)` with rank `worst CLASS`; an image that is the worst of several classes names all of them.
    """
    names: dict[int, list[str]] = {}
    for at, (_, image) in sorted(worst.items(), key=lambda item: item[1])[:most]:
        names.setdefault(image, []).append(classes[at])
    return [(f"worst {', '.join(several)}", image) for image, several in names.items() if image not in taken]


def _save(out: Path, number: int, sample: Sample, labels: Mapping[str, NDArray[np.uint8]]) -> dict[str, object]:
    """Writes the PNGs of one sample and returns their paths, relative to the run folder."""
    stem = f"{FOLDER}/{number:02d}"
    _save_png(Image.fromarray(grey_or_colours(sample.picture)), out / f"{stem}.picture.png")
    _save_png(indexed(sample.mask), out / f"{stem}.truth.png")
    paths = {}
    for at, (name, classes) in enumerate(labels.items()):  # numbered: names may differ only in punctuation
        paths[name] = f"{stem}.{at:02d}-{re.sub('[^A-Za-z0-9]+', '-', name)}.png"
        _save_png(indexed(classes), out / paths[name])
    return {"picture": f"{stem}.picture.png", "truth": f"{stem}.truth.png", "labels": paths}


def _save_png(image: Image.Image, path: Path) -> None:
    with naming(path):
        image.save(path, optimize=True)


def _description(measured: Measured, keys: Mapping[Path, str]) -> dict[str, str]:
    """What the report needs about a file; `reference` is the key of the file that it was made from."""
    artifact, source = measured.artifact, measured.artifact.reference_folder
    return {
        "artifact": measured.key,
        "reference": keys.get(source, "") if source else "",
        "file": measured.name,
        "runtime": measured.process.name if measured.process else "",
        "stage": artifact.stage,
        "format": artifact.format,
        "precision": artifact.precision,
    }


def _is_student(measured: Measured) -> bool:
    return measured.artifact.stage == "student" and measured.artifact.format == "torch"
