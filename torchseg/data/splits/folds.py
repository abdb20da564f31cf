"""Cross-validation of small data sets: every image is in the test split of exactly one fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from torchseg.checks import check_fold_count
from torchseg.data.file_samples import share_of
from torchseg.data.splits.stratified import TEST, TRAIN, VALIDATION, Group, Member, groups_of
from torchseg.plural import counted

FOLD_RULE = "stratified folds 1"  # its version goes up when it would choose other folds of the same images


@dataclass(frozen=True)
class Fold:
    """One fold of several.

    Attributes:
        number: from 1.
        count: of the folds.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Fold:
        """Reads `2/5`; raises ValueError for anything else."""
        number, _, count = text.partition("/")
        if not (number.strip().isdecimal() and count.strip().isdecimal()):
            raise ValueError(f"fold is '{text}'; give N/K, e.g. 2/5 for the second of five")
        fold = cls(int(number), int(count))
        check_fold_count("fold", fold.count)
        if not 1 <= fold.number <= fold.count:
            raise ValueError(f"fold is '{text}'; give a number from 1 to {fold.count} before the slash")
        return fold


def split_by_fold(members: Sequence[Member], fold: Fold) -> dict[str, str]:
    """Assigns images to splits: one part of the images is test, the next one validation, the others train.

    Over all folds, each image is in the test split once and in the validation split once.

    Args:
        members: the images, in any order.
        fold: which part is test.

    Returns:
        The split of each image by its name.

    Raises:
        ValueError: if there are fewer groups than folds.
    """
    groups = groups_of(members)
    if len(groups) < fold.count:
        raise ValueError(
            f"{counted(len(members), 'image')} in {counted(len(groups), 'group')} cannot be cut into {fold.count} "
            "folds; add images of other groups, or ask for fewer folds"
        )
    splits = {fold.number - 1: TEST, fold.number % fold.count: VALIDATION}
    parts = _parts(groups, fold.count)
    return {
        image: splits.get(part, TRAIN)
        for part, chosen in enumerate(parts)
        for group in chosen
        for image in group.images
    }


def _parts(groups: Sequence[Group], count: int) -> list[list[Group]]:
    """Parts of about the same size in which every class is shown about equally often.

    Source: Sechidis et al., On the stratification of multi-label data, 2011: the images of the rarest class are dealt
    out first, each to the part that has fewest of them.
    """
    parts: list[list[Group]] = [[] for _ in range(count)]
    shown = [Counter[int]() for _ in range(count)]
    left = sorted(groups, key=lambda group: (-group.size, share_of(group.name)))
    while left:
        wanted = _rarest(left)
        for group in [each for each in left if wanted is None or wanted in each.classes]:
            part = min(range(count), key=lambda at: (shown[at][wanted], _size(parts[at]), at))  # type: ignore[index]
            parts[part].append(group)
            shown[part].update(dict.fromkeys(group.classes, group.size))
            left.remove(group)
    return _none_empty(parts)


def _rarest(groups: Sequence[Group]) -> int | None:
    """The class that the fewest of these groups show; None if they show none."""
    counts = Counter(each for group in groups for each in group.classes)
    return min(counts, key=lambda each: (counts[each], each), default=None)


def _size(part: Sequence[Group]) -> int:
    return sum(group.size for group in part)


def _none_empty(parts: list[list[Group]]) -> list[list[Group]]:
    """Moves groups from the largest parts into empty ones; there are at least as many groups as parts."""
    for part in parts:
        if not part:
            largest = max((each for each in parts if len(each) > 1), key=_size)
            part.append(largest.pop())
    return parts
