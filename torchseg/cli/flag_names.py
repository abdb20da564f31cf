"""The spellings of a flag that are accepted: dashes for underscores, usual short names, and help with wrong ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from torchseg.spec import nearest

ALIASES = {
    "lr": "learning_rate",
    "batch": "batch_size",
    "img_size": "image_size",
    "imgsz": "image_size",
    "root_path": "root",
    "output": "out",
    "dataset": "data",
}
"""Names that other tools give to flags of this one."""


def normalised(argv: Sequence[str], known: Collection[str]) -> list[str]:
    """The arguments with every flag spelled as the parser knows it.

    A value that begins with a minus is joined to its flag, `--mean=-1,0,0`, because argparse takes it for a flag.

    Args:
        argv: arguments of a command.
        known: names of its flags, without dashes.

    Raises:
        ValueError: for a flag that the command does not have; names those that resemble it.
    """
    found: list[str] = []
    for item in argv:
        if item.startswith("--") and len(item) > 2:
            name, equals, value = item[2:].partition("=")
            found.append(f"--{_name(name, known)}{equals}{value}")
        elif found and re.fullmatch(r"--\w+", found[-1]) and re.match(r"-[\d.]", item):
            found[-1] += f"={item}"
        else:
            found.append(item)
    return found


def _name(written: str, known: Collection[str]) -> str:
    name = written.replace("-", "_")
    if name in known:
        return name
    if (meant := ALIASES.get(name)) in known:
        return str(meant)
    spellings = {*known, *(alias for alias, meant in ALIASES.items() if meant in known)}
    raise ValueError(f"there is no flag --{written}{nearest(name, sorted(spellings))}; --help lists all")
