"""Whether an image fits into memory, judged by its size before it is decoded: a few bytes can stand for gigabytes."""

from __future__ import annotations

from pathlib import Path

from torchseg.processes.child_limits import memory_limit_bytes


def check_memory(path: Path, size: tuple[int, int], *, bytes_per_pixel: float) -> None:
    """Raises ValueError for an image that would take more memory to read than a process may take.

    Args:
        path: of the image.
        size: height and width in pixels, as it will be decoded.
        bytes_per_pixel: of all copies that are in memory at once.
    """
    needed, limit = size[0] * size[1] * bytes_per_pixel, memory_limit_bytes()
    if needed > limit:
        raise ValueError(
            f"{path} has {size[0]}x{size[1]} pixels, which take about {needed / 1e9:.1f} GB to read, and an image may "
            f"take {limit / 1e9:.1f} GB; cut it into smaller ones, or give more memory with --max_memory where the "
            "command has that flag"
        )
