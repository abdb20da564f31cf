"""The table of data sets: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torchseg.data.data_set import DataSet
from torchseg.data.folder import folder
from torchseg.data.oxford_pet import download_oxford_pet, oxford_pet
from torchseg.data.scenes import scenes
from torchseg.spec import nearest


@dataclass(frozen=True, kw_only=True)
class Source:
    """How a data set on disk is opened and, where that is possible, fetched."""

    open: Callable[[Path], DataSet]
    download: Callable[[Path], None] | None = None


GENERATED = "scenes"
SOURCES: Mapping[str, Source] = {
    "folder": Source(open=folder),
    "oxford-pet": Source(open=oxford_pet, download=download_oxford_pet),
}


def open_data(name: str, root: Path | None, *, size: tuple[int, int], download: bool = False) -> DataSet:
    """Opens a data set; pictures on disk keep their own size, generated ones have the size asked for.

    Args:
        name: `scenes` or a key of `SOURCES`.
        root: the data set's folder, or the folder that holds it; `scenes` needs none.
        size: height and width of generated pictures.
        download: fetch it into `root` first.

    Raises:
        ValueError: for an unknown name, a missing folder, or data that is damaged.
    """
    if name == GENERATED:
        return scenes(*size)
    if name not in SOURCES:
        known = [GENERATED, *SOURCES]
        raise ValueError(f"there is no data set '{name}'{nearest(name, known)}; choose from {', '.join(sorted(known))}")
    source = SOURCES[name]
    if root is None:
        raise ValueError(f"data set '{name}' is read from disk: say where with --root FOLDER")
    if download:
        if source.download is None:
            raise ValueError(f"data set '{name}' has no download; drop --download and give its folder as --root")
        source.download(root)
    if not root.is_dir():
        raise ValueError(f"there is no folder {root.resolve()}; give the folder of data set '{name}' as --root")
    return source.open(root)
