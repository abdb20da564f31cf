"""Splits images that no list assigns: exact shares, whole groups, every class in every split, and few moves later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torchseg.data.file_samples import share_of
from torchseg.plural import counted

SPLIT_RULE = "stratified groups 1"  # its version goes up when it would choose other splits of the same images
TRAIN, VALIDATION, TEST = "train", "validation", "test"
_HELD_SHARE = 0.15  # of the images, for validation and for test each
_LEAST_HELD = 3  # images, so that one odd image does not decide a score alone
_LEAST_GROUPS = 3


@dataclass(frozen=True, kw_only=True)
class Member:
    """An image to be assigned to a split.

    Attributes:
        name: unique in its data set.
        group: images of one group, such as the frames of a video, end in one split.
        classes: that the image shows.
    """

    name: str
    group: str
    classes: frozenset[int] = frozenset()


def split_images(members: Sequence[Member]) -> dict[str, str]:
    """Assigns images to the splits: 15 % of them to validation and to test, at least 3 each, the others to train.

    Test takes the groups with the lowest hash of their name, and validation those with the highest, so a new image
    moves at most one old one per split. Then a class that a split lacks, though at least three groups show it, is
    brought there in exchange for a group of the same size where there is one.

    Args:
        members: the images, in any order.

    Returns:
        The split of each image by its name.

    Raises:
        ValueError: if there are fewer than 3 groups.
    """
    groups = groups_of(members)
    if len(groups) < _LEAST_GROUPS:
        raise ValueError(
            f"{counted(len(members), 'image')} in {counted(len(groups), 'group')} cannot be split into train, "
            "validation and test; add images of other groups, or list the splits in train.txt, validation.txt and "
            "test.txt"
        )
    quota = _quota(len(members))
    ascending = sorted(groups, key=lambda group: share_of(group.name))
    test = _filled(ascending, quota)
    validation = _filled([group for group in reversed(ascending) if group not in test], quota)
    splits = {TEST: test, VALIDATION: validation}
    splits[TRAIN] = [group for group in ascending if group not in test and group not in validation]
    _spread_classes(splits)
    return {image: split for split, chosen in splits.items() for group in chosen for image in group.images}


@dataclass(frozen=True, eq=False)
class Group:
    """Images that end in one split.

    Attributes:
        name: of the group.
        images: names of its images.
        classes: that any of them shows.
    """

    name: str
    images: list[str] = field(default_factory=list)
    classes: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.images)


def groups_of(members: Iterable[Member]) -> list[Group]:
    """The groups of the images, in the order of their first names."""
    groups: dict[str, Group] = {}
    for member in sorted(members, key=lambda member: member.name):
        group = groups.setdefault(member.group, Group(member.group))
        group.images.append(member.name)
        group.classes.update(member.classes)
    return list(groups.values())


def _quota(images: int) -> int:
    """Images for validation, and as many for test; at least as many are left for training."""
    return min(max(_LEAST_HELD, round(_HELD_SHARE * images)), images // 3)


def _filled(groups: Sequence[Group], quota: int) -> list[Group]:
    """The first groups that together have no more images than the quota; the smallest one if each is larger."""
    chosen, left = [], quota
    for group in groups:
        if group.size <= left:
            chosen.append(group)
            left -= group.size
    return chosen or [min(groups, key=lambda group: group.size)]


def _spread_classes(splits: Mapping[str, list[Group]]) -> None:
    """Exchanges groups until every split shows every class that at least three groups show, where that is possible."""
    shown: dict[int, int] = defaultdict(int)
    for group in (group for chosen in splits.values() for group in chosen):
        for each in group.classes:
            shown[each] += 1
    settled: set[int] = set()
    for wanted in sorted(shown, key=lambda each: (shown[each], each)):  # the rarest class has the least choice
        if shown[wanted] < len(splits):
            continue
        settled.add(wanted)
        for split in splits:
            if not any(wanted in group.classes for group in splits[split]):
                _bring(wanted, split, splits, settled)


def _bring(wanted: int, split: str, splits: Mapping[str, list[Group]], settled: set[int]) -> None:
    """Exchanges a group that shows the class for one of this split, so that no settled class is lost on either side."""
    for source in sorted(splits, key=lambda name: -len(splits[name])):
        for coming in splits[source]:
            if source == split or wanted not in coming.classes:
                continue
            for going in sorted(splits[split], key=lambda group, size=coming.size: abs(group.size - size)):  # type: ignore[misc]
                if abs(going.size - coming.size) > 1:
                    break
                if _keeps(splits[source], coming, going, settled) and _keeps(splits[split], going, coming, settled):
                    splits[source][splits[source].index(coming)] = going
                    splits[split][splits[split].index(going)] = coming
                    return


def _keeps(groups: Sequence[Group], without: Group, instead: Group, settled: set[int]) -> bool:
    """Whether a split still shows the settled classes that it shows now, after one group was exchanged."""
    left = set(instead.classes).union(*(group.classes for group in groups if group is not without))
    return without.classes & settled <= left
