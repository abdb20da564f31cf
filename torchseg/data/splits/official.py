"""Makes training, validation and test splits of the splits that a data set or an annotation tool gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torchseg.data.file_samples import share_of
from torchseg.data.splits.lists import split_of_folder
from torchseg.data.splits.stratified import Member, split_images

_VALIDATION_SHARE = 0.15
Pairs = Sequence[tuple[Path, Path]]


def split_named(text: str) -> str:
    """The split that a folder or file like `train`, `valid`, `instances_val2017` or `test-0` is called after.

    Returns:
        `train`, `validation`, `test`, or an empty string.
    """
    words = "".join(character if character.isalpha() else " " for character in text).lower().split()
    return next((part for word in words if (part := split_of_folder(Path(word)))), "")


def three_splits(
    parts: Mapping[str, Pairs], *, group: Callable[[Path], str] = lambda picture: picture.stem
) -> dict[str, Pairs]:
    """Three splits of one to three.

    Three splits stay as they are. Of training and one more split, the other one is the test split, and about 15 % of
    training, whole groups, is the validation split. One split alone is divided by `split_images`.

    Args:
        parts: pairs of image and mask by split; images of the split `""` count as training images.
        group: group of an image, e.g. its drive; groups are not divided.

    Raises:
        ValueError: if there are no training images, or too few to make three splits.
    """
    train = [*parts.get("train", ()), *parts.get("", ())]
    validation, test = list(parts.get("validation", ())), list(parts.get("test", ()))
    if not train:
        raise ValueError(f"the data set has no training images (splits: {', '.join(filter(None, parts)) or 'none'})")
    if not validation and not test:
        assigned = split_images([Member(name=str(picture), group=group(picture)) for picture, _ in train])
        validation, test, train = (
            [pair for pair in train if assigned[str(pair[0])] == part] for part in ("validation", "test", "train")
        )
    elif not validation or not test:
        test = test or validation
        train, validation = hold_out(train, group=group)
    found: dict[str, Pairs] = {"train": train, "validation": validation, "test": test}
    for part, chosen in found.items():
        if not chosen:
            raise ValueError(f"the data set has too few images: none is left for {part}; add more (30 or so)")
    return found


def hold_out(pairs: Pairs, *, group: Callable[[Path], str]) -> tuple[list[tuple[Path, Path]], list[tuple[Path, Path]]]:
    """Pairs to train on and to validate with: about 15 % of the groups, by a hash of their names, at least one."""
    groups = {group(picture) for picture, _ in pairs}
    held = {name for name in groups if share_of(name) < _VALIDATION_SHARE} or {min(groups, key=share_of)}
    kept = [pair for pair in pairs if group(pair[0]) not in held]
    return kept, [pair for pair in pairs if group(pair[0]) in held]
