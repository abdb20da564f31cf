"""The folders of the control groups that this process is in: Linux keeps the limits of containers there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def group_folders(controller: str, *, groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> Iterator[Path]:
    """Folders of this process's groups, of version 1 or 2, and of the groups above them; nothing on other systems.

    A limit of any of these groups holds for the process.

    Args:
        controller: as version 1 names it, e.g. `cpu` or `memory`.
        groups: mount point of the control groups.
        membership: file that lists the groups of this process, like `/proc/self/cgroup`.
    """
    lines = membership.read_text(encoding="utf-8").splitlines() if membership.is_file() else []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounts = [groups / controllers, groups / controller] if controllers else [groups, groups / "unified"]
        for mount in mounts:
            inside = mount / name.lstrip("/")
            # In a container that sees its own group as the root, the limit is at the mount point itself.
            yield from (folder for folder in (inside, *inside.parents) if folder.is_relative_to(mount))
