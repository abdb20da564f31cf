"""Holds a run folder against its manifest, and its images against the hashes of the first reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from torchseg.data import Samples, read_in_order
from torchseg.harness.scoring.columns import CONFUSION
from torchseg.pipeline.manifest.manifest import MANIFEST, manifest_problems, read_manifest
from torchseg.pipeline.manifest.table_check import SCORES, Weigh, table_problems, weights_apart
from torchseg.pipeline.run.dataset import REPORT, SPLITS, Pictures, add_to_hash, read_report
from torchseg.pipeline.run.session import CONFIG
from torchseg.record import RecordError, read_yaml

_REMEDY = "run the command of the run again"


class RunRecordCheck:
    """One line for each file of a run and for each part of its images.

    Args:
        run: folder of the run.
        models: model files that get a line of their own elsewhere; here they have one only if they changed.

    Attributes:
        failed: whether anything did not hold; complete once all lines were taken.
    """

    def __init__(self, run: Path, models: Collection[Path]) -> None:
        self.run, self.failed = run, False
        self._models = {path.relative_to(run).as_posix() for path in models}

    def lines(self, pictures: Callable[[], Pictures]) -> Iterator[str]:
        """Judges the manifest, the files, then the images, which `pictures` opens."""
        yield from self._files()
        yield from self._images(pictures)

    def _files(self) -> Iterator[str]:
        try:
            manifest = read_manifest(self.run)
        except RecordError as error:
            yield self._line(MANIFEST, str(error), "")
            return
        yield self._line(MANIFEST, "", f"its chain of {len(manifest.entries)} files holds")
        for name, problem in manifest_problems(self.run, manifest).items():
            if problem or name not in self._models:
                yield self._line(name, problem, "as the run wrote it")

    def table_lines(self, weigh: Weigh = weights_apart) -> Iterator[str]:
        """Judges the tables; `weigh` counts the zeros and distinct values of a file."""
        try:
            problems = list(table_problems(self.run, weigh))
        except (ValueError, OSError, KeyError) as error:
            problems = [(SCORES, f"cannot be compared with the files ({error}); score the run again")]
        for name, problem in problems:
            yield self._line(name, problem, "")
        if not problems and (self.run / CONFUSION).is_file():
            yield self._line(
                SCORES, "", "its accuracy, sizes and weights are those of the confusion matrices and files"
            )

    def _images(self, pictures: Callable[[], Pictures]) -> Iterator[str]:
        if not (self.run / REPORT).is_file():
            return
        try:
            recorded = read_report(self.run, remedy=_REMEDY)
            opened, transfer_set = pictures(), self._transfer_set
        except (ValueError, OSError) as error:
            yield self._line("images", str(error), "")
            return
        for part in SPLITS:
            digest = getattr(recorded, part).sha256
            samples: Samples = getattr(opened, part)
            if part == "transfer" and transfer_set:
                yield f"{self.run / part} images: of {transfer_set}, and not read again"
            elif digest and len(samples):
                yield self._line(f"{part} images", _image_problem(samples, digest), "as the run read them")

    @property
    def _transfer_set(self) -> str:
        """The folder of `--transfer_set`, which is no part of the data set; empty if the run had none."""
        return str(read_yaml(self.run / CONFIG, remedy=_REMEDY).get("transfer_set") or "")

    def _line(self, name: str, problem: str, holds: str) -> str:
        self.failed |= bool(problem)
        return f"{self.run / name}: {problem or holds}"


def _image_problem(samples: Samples, recorded: str) -> str:
    digest = hashlib.sha256()
    try:
        for sample in read_in_order(samples, processes=1):
            add_to_hash(digest, sample)
    except (ValueError, OSError) as error:
        return str(error)
    if digest.hexdigest() == recorded:
        return ""
    return "images or masks changed since the run read them, or another release of Pillow reads them differently"
