"""Finds images that belong together, such as the frames of a video, so that they end in one split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

AUTO = "auto"
_LEAST_FOLDERS = 6  # fewer cannot be split by shares of 70, 15 and 15 %
_MOST_COMPARED = 300  # images compared by their looks: each is decoded whenever the data is opened

_SIDE = 16  # pixels of a thumbnail
_CORRELATION = 0.985
_DIFFERENCE = 8.0  # mean absolute difference of two thumbnails, of 255
_CONTRAST = 2.0  # standard deviation; images with less have no content to compare
_LARGEST_GROUP = 1 / 3  # of the images; more says that all images look alike, not which ones belong together


def group_images(
    names: Mapping[Path, str], how: str, *, read: Callable[[Path], NDArray[np.uint8]]
) -> tuple[dict[Path, str], str]:
    """Name of the group of each image, and a sentence about what was found, which may be empty.

    Args:
        names: unique name by image file.
        how: `none` makes each image a group, `folder` each folder of images. `auto` takes the folders if there are
            at least 6, otherwise images that look alike, if there are at most 300 images. Anything else is a regular
            expression: images in whose names it finds equal text (in its first group, if it has one) belong together.
        read: decodes an image, in any size, uint8 `(H, W, C)`.

    Raises:
        ValueError: if the expression is none, or finds something in no name.
    """
    folders = {path: str(path.parent) for path in names}
    number = len(set(folders.values()))
    if how == "folder" and number == 1:
        raise ValueError(
            "group is 'folder', but all images are in one folder; give a regular expression of their names"
        )
    if how == "folder" or (how == AUTO and number >= _LEAST_FOLDERS):
        return folders, f"the images of a folder stay in one split ({number} folders)"
    if how == "none" or (how == AUTO and len(names) > _MOST_COMPARED):
        return dict(names), ""
    if how != AUTO:
        return _by_pattern(names, how), ""
    alike = look_alikes([thumbnail(read(path)) for path in names])
    paths = list(names)
    groups = {path: names[paths[group]] for path, group in zip(paths, alike, strict=True)}
    sizes = [size for size in Counter(groups.values()).values() if size > 1]
    if not sizes:
        return groups, ""
    return groups, (
        f"{sum(sizes)} images look like others and form {len(sizes)} groups (largest: {max(sizes)}), which stay in one "
        "split each; --group none splits them"
    )


def _by_pattern(names: Mapping[Path, str], pattern: str) -> dict[Path, str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"group is '{pattern}', which is no regular expression ({error}); "
            "give auto, none, folder or e.g. '^seq[0-9]+'"
        ) from error
    found = {path: expression.search(name) for path, name in names.items()}
    if not any(found.values()):
        raise ValueError(
            f"group is '{pattern}', which is in no image's name (the first is {next(iter(names.values()))}); "
            "give auto, none, folder or e.g. '^seq[0-9]+'"
        )
    return {
        path: names[path] if match is None else f"={match.group(1 if expression.groups else 0)}"
        for path, match in found.items()
    }


def thumbnail(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean of the bands of an image `(H, W, C)`, averaged to 16x16."""
    grey = picture.mean(axis=2, dtype=np.float32).round().astype(np.uint8)
    return np.asarray(Image.fromarray(grey).resize((_SIDE, _SIDE), Image.Resampling.BOX))


def look_alikes(thumbnails: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Group of each image: images that look alike, directly or through others, share one.

    Two images look alike if their thumbnails correlate and differ little. The number of a group is the position of its
    first image. If more than a third of all images fell into one group, as with a camera that does not move, looks do
    not tell which images belong together, and each image is a group of its own.

    Args:
        thumbnails: of `thumbnail`; every pair is compared.
    """
    count = len(thumbnails)
    values = np.asarray(thumbnails, np.float32).reshape(count, _SIDE * _SIDE)
    centred = values - values.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=1))  # (N,)
    alike = np.eye(count, dtype=bool)
    for row in np.flatnonzero(deviation > _CONTRAST):
        correlation = centred @ centred[row] / (_SIDE * _SIDE * np.maximum(deviation, _CONTRAST) * deviation[row])
        near = np.flatnonzero(correlation > _CORRELATION)
        alike[row, near[np.abs(values[near] - values[row]).mean(axis=1) < _DIFFERENCE]] = True
    groups = _connected(alike | alike.T)
    if count and np.bincount(groups).max() > max(2, _LARGEST_GROUP * count):
        return list(range(count))
    return [int(group) for group in groups]


def _connected(alike: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each image, the first one that it is connected with."""
    labels = np.arange(len(alike))
    while True:
        lower = np.where(alike, labels, len(alike)).min(axis=1, initial=len(alike))
        lower = lower[lower]  # the label of the label: long chains take few rounds
        if np.array_equal(lower, labels):
            return labels
        labels = lower
