"""Finds the files that lists and annotations name, though their folders or endings may have changed since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath, PureWindowsPath

from torchseg.data.images.io import SUFFIXES, find_files
from torchseg.data.pairing import normal


class NamedFiles:
    """Finds files by the names that lists and annotations give them; each folder is read once, and only if needed.

    Args:
        suffixes: endings that the files may have, the preferred one first.
    """

    def __init__(self, suffixes: Sequence[str] = SUFFIXES) -> None:
        self._suffixes = tuple(suffixes)
        self._known: dict[Path, dict[str, Path]] = {}

    def find(self, name: str, folders: Iterable[Path]) -> Path | None:
        """The file of this name in the first folder that has it.

        Names of files exactly as given come first, then those with another of the endings, or in another case or
        Unicode form. Each is also looked for without the folders in front, which may be those of another machine.

        Args:
            name: with or without an ending and folders, between which there may be backslashes.
            folders: where to look.
        """
        name, folders = PureWindowsPath(name).as_posix(), list(folders)
        places = [folder / form for form in (name, PurePosixPath(name).name) for folder in folders]
        exact = (place for place in places if place.suffix.lower() in self._suffixes and place.is_file())
        return next(chain(exact, filter(None, map(self._alike, places))), None)

    def _alike(self, place: Path) -> Path | None:
        """The file in the folder of this one whose name differs in the ending or in the case of letters."""
        known = self._in(place.parent)
        stem = normal(place.stem if place.suffix.lower() in self._suffixes else place.name)
        return known.get(stem) or known.get(stem.casefold())

    def _in(self, folder: Path) -> dict[str, Path]:
        """Files of a folder by stem, and by the stem in lower case."""
        if folder not in self._known:
            found = [path for path in find_files(folder, "*") if path.suffix.lower() in self._suffixes]
            found.sort(key=lambda path: self._suffixes.index(path.suffix.lower()))
            by_stem = {normal(path.stem): path for path in reversed(found)}
            self._known[folder] = {stem.casefold(): path for stem, path in by_stem.items()} | by_stem
        return self._known[folder]


def unique_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A name for each image: its stem, behind as many of its folders as tell it from the others."""
    names = {path: path.stem for path in paths}
    for depth in range(1, max((len(path.parts) for path in paths), default=0)):
        times = Counter(names.values())
        repeated = [path for path in names if times[names[path]] > 1]
        names |= {path: "_".join((*path.parent.parts[-depth:], path.stem)) for path in repeated}
    times = Counter(names.values())  # files of one folder that differ in their endings alone
    return {path: f"{name}_{path.suffix[1:]}" if times[name] > 1 else name for path, name in names.items()}
