"""What a run's scores say about its training: problems in words, each with what to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchseg.harness.format import percent
from torchseg.harness.report.rare_classes import few, rare_text
from torchseg.harness.report.run_record import Row, number, split_of
from torchseg.harness.scoring.measurement import TEST
from torchseg.plural import counted

FEW_IMAGES = 20  # below that, one image more or less moves the mean IoU by points
_NO_GAIN = 0.001  # mean IoU, in [0, 1]


def findings(rows: Sequence[Row], data: Mapping[str, Any]) -> list[str]:
    """Problems of a run as sentences; empty if none is found, or if the scores are not of the test split.

    Args:
        rows: of scores.csv.
        data: contents of data.json: of each split, the number of images as `pictures`, and that of the pixels of each
            class as `class_pixels`; may be empty.
    """
    if split_of(rows) != TEST:
        return []
    miou = {row["stage"]: value for row in rows if row["format"] == "torch" and (value := number(row, "miou"))}
    return [*_weak_teacher(miou), *_no_gain(miou), *_small_splits(rows, data), *_rare_classes(data)]


def _weak_teacher(miou: Mapping[str, float]) -> list[str]:
    teacher, student = miou.get("teacher"), miou.get("student")
    if teacher is None or student is None or teacher >= student:
        return []
    return [
        f"The teacher ({percent(teacher)} mean IoU) is worse than its student ({percent(student)}), so it has little "
        "to teach. Train it for longer (--teacher_epochs), take a larger one or one that starts from ImageNet "
        "(--teacher), or do without it (--teacher null)."
    ]


def _no_gain(miou: Mapping[str, float]) -> list[str]:
    student, baseline = miou.get("student"), miou.get("baseline")
    if student is None or baseline is None or student > baseline + _NO_GAIN:
        return []
    return [
        f"Distillation gained nothing: the student has {percent(student)} mean IoU, and its baseline, the same network "
        f"trained without a teacher, {percent(baseline)}. Try a better teacher, images without masks (--transfer_set), "
        "more epochs (--epochs), or train without a teacher (--teacher null), which costs less time."
    ]


def _small_splits(rows: Sequence[Row], data: Mapping[str, Any]) -> list[str]:
    sizes = {name: int(split["pictures"]) for name, split in data.items() if _has_count(split)}
    tested = [int(count) for row in rows if (count := number(row, "images"))]
    if tested:
        sizes["test"] = min(tested)
    small = {name: sizes[name] for name in ("train", "validation", "test") if sizes.get(name, FEW_IMAGES) < FEW_IMAGES}
    if not small:
        return []
    listed = ", ".join(f"{name} {counted(count, 'image')}" for name, count in small.items())
    return [
        f"Some splits have fewer than {FEW_IMAGES} images ({listed}): a single image can move the mean IoU by points, "
        "so do not trust small differences. Add images with masks, or cut large images into patches (--patch_size)."
    ]


def _rare_classes(data: Mapping[str, Any]) -> list[str]:
    test = data.get("test")
    rare = few(test.get("class_pixels") or {}) if isinstance(test, Mapping) else {}
    if not rare:
        return []
    return [
        f"The mean IoU counts every class alike, also {rare_text(rare)}. A few of these pixels move it by points: look "
        "at the classes one by one, and add test images that show these."
    ]


def _has_count(split: object) -> bool:
    return isinstance(split, Mapping) and isinstance(split.get("pictures"), int)
