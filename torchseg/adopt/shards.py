"""Reads weights that Hugging Face's libraries have split over several files, which an index names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from torchseg.plural import counted, verb
from torchseg.record import json_in

INDEX = ".index.json"  # how the name of an index ends; before it stands the name that one whole file would have
_MOST_SHARDS = 10_000
_NAMED = 3  # missing shards that the message names


def read_shards(index: Path, read: Callable[[Path], Any]) -> dict[str, Tensor]:
    """The tensors of all shards.

    Args:
        index: e.g. `model.safetensors.index.json`; its `weight_map` says which file beside it holds which tensor.
        read: reads one shard.

    Raises:
        ValueError: if the index is damaged, names a file that is missing or lies elsewhere, or a shard lacks a tensor.
    """
    places = _weight_map(index)
    shards = {name: index.with_name(name) for name in dict.fromkeys(places.values())}
    missing = [name for name, path in shards.items() if not path.is_file()]
    if missing:
        named = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        raise ValueError(
            f"{index} names {counted(len(shards), 'file')} of weights, and {len(missing)} of them "
            f"{verb(len(missing), 'is', 'are')} not beside it ({named}); "
            "copy the whole folder"
        )
    tensors: dict[str, Tensor] = {}
    for name, path in shards.items():
        content = read(path)
        held = content if isinstance(content, Mapping) else {}
        for tensor in (each for each, place in places.items() if place == name):
            if not isinstance(held.get(tensor), Tensor):
                raise ValueError(f"{path} lacks the tensor '{tensor}' that {index.name} names; copy the folder again")
            tensors[tensor] = held[tensor]
    return tensors


def _weight_map(index: Path) -> dict[str, str]:
    """Name of each tensor -> name of the file that holds it."""
    content = json_in(index, remedy="copy the folder again")
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places:
        raise ValueError(
            f"{index} has no weight_map; expected the name of a file for each tensor: copy the folder again"
        )
    expected = Path(index.name.removesuffix(INDEX)).suffix
    for name in dict.fromkeys(str(each) for each in places.values()):
        if Path(name).name != name or "\\" in name or Path(name).suffix != expected:
            raise ValueError(f"{index} names '{name}'; expected a {expected} file beside it")
    if len(set(places.values())) > _MOST_SHARDS:
        raise ValueError(f"{index} names {len(set(places.values())):,} files; expected at most {_MOST_SHARDS:,}")
    return places
