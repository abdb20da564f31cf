"""Fits weights to images of another number of channels than they were trained with."""

from __future__ import annotations

from dataclasses import replace

from torchseg.adopt.key_matching import Matching
from torchseg.models.pretrained import for_channels

_COLOURS = 3


def image_channels(matching: Matching, channels: int) -> int | None:
    """The number of channels of the checkpoint's images, if it is all that keeps the tensors from fitting.

    Args:
        matching: of the checkpoint with a network for images of `channels` channels.
        channels: of that network.
    """
    if matching.missing or matching.unexpected:
        return None
    found = {
        theirs[1] if _is_for_images(theirs, ours, channels) else 0 for _, theirs, ours in matching.reshaped
    }  # several where more than one convolution reads the image
    return found.pop() if len(found) == 1 and 0 not in found else None


def _is_for_images(theirs: tuple[int, ...], ours: tuple[int, ...], channels: int) -> bool:
    same = len(theirs) == len(ours) == 4 and (theirs[0], *theirs[2:]) == (ours[0], *ours[2:])
    return same and ours[1] == channels


def with_channels(matching: Matching, channels: int) -> Matching:
    """Spreads the weights of a first convolution for colour images over those of another number of channels.

    Args:
        matching: of the checkpoint with a network for images of `channels` channels.
        channels: of that network.

    Returns:
        The matching as it is, unless the checkpoint is for images of three channels and fits otherwise.
    """
    if image_channels(matching, channels) != _COLOURS:
        return matching
    shapes = {name: matching.tensors[name].shape for name in matching.other_shapes}
    spread = {name: for_channels(tensor, shapes[name]) for name, tensor in matching.other_shapes.items()}
    names = [name for name, _, _ in matching.reshaped]
    how = "are summed over the colours" if channels == 1 else "repeat those of the colours; train before you use it"
    note = f"the first convolution ({', '.join(names)}) is adapted from 3 to {channels} channels: its weights {how}"
    return replace(
        matching,
        tensors={**matching.tensors, **spread},
        notes=[*matching.notes, note],
        reshaped=[],
        other_shapes={},
    )
