"""Size of a model file in bytes, as stored and compressed."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import BinaryIO, cast

WEIGHTS = "model.safetensors"
_BLOCK = 1 << 20
_QUICK_LEVEL, _SLOW_LEVEL = 3, 19  # zstd levels; 19 is the highest standard one
_DENSE = 0.85


def size_bytes(path: Path) -> int:
    """Bytes on disk of a model file, including external ONNX data, or of the weights in a checkpoint's folder.

    Raises:
        ValueError: if there is no such file.
    """
    return sum(part.stat().st_size for part in files_of(path))


def gzip_bytes(path: Path) -> int:
    """Bytes of a model file after gzip at level 9, the size of a download; nothing is written.

    Raises:
        ValueError: if there is no such file.
    """
    sink = _Counter()
    with gzip.GzipFile(fileobj=cast(BinaryIO, sink), mode="wb", compresslevel=9, mtime=0, filename="") as packed:
        for part in files_of(path):
            with part.open("rb") as file:
                shutil.copyfileobj(file, packed, _BLOCK)
    return sink.count


def zstd_bytes(path: Path) -> int:
    """Bytes of a model file after zstd at level 19, the size of a package or an update; nothing is written.

    Level 19 takes seconds per megabyte. Dense weights hardly compress at any level, so it is skipped for a file that
    keeps more than 85 % of its size at level 3.

    Raises:
        ValueError: if there is no such file.
    """
    quick = _zstd(path, _QUICK_LEVEL)
    return quick if quick > _DENSE * size_bytes(path) else min(quick, _zstd(path, _SLOW_LEVEL))


def _zstd(path: Path, level: int) -> int:
    import zstandard

    sink = _Counter()
    with zstandard.ZstdCompressor(level=level).stream_writer(cast(BinaryIO, sink), closefd=False) as packed:
        for part in files_of(path):
            with part.open("rb") as file:
                shutil.copyfileobj(file, packed, _BLOCK)
    return sink.count


def files_of(path: Path) -> list[Path]:
    """The files that a model needs at run time: the model file and its external ONNX data, or a checkpoint's weights.

    Raises:
        ValueError: if a file is missing or lies outside the model file's folder.
    """
    main = path / WEIGHTS if path.is_dir() else path
    parts = [main, *sorted(_external(main))] if main.suffix == ".onnx" and main.is_file() else [main]
    for part in parts:
        if not part.is_file():
            raise ValueError(f"there is no file {part}; check the path, or export the model again")
    return parts


def _external(path: Path) -> set[Path]:
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf's DecodeError, which has no public typed location
        raise ValueError(f"{path} is no ONNX file ({error}); export the model again") from error
    held = [tensor for tensor in graph.initializer if uses_external_data(tensor)]
    parts = {path.parent / ExternalDataInfo(tensor).location for tensor in held}
    for part in parts:
        if not part.resolve().is_relative_to(path.parent.resolve()):
            raise ValueError(f"{path} wants to read {part}, outside its own folder; export it again as one file")
    return parts


class _Counter:
    """A writable file that only counts bytes."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, data: bytes) -> int:
        self.count += len(data)
        return len(data)

    def flush(self) -> None:
        """Does nothing: no data is buffered."""
