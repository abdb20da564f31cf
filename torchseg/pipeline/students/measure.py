"""Measures the students: int8 files of networks with random weights, timed in alternation on one thread."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tf_bridge.conversion import Conversion
from torchseg.data.datasets.scenes import Scenes
from torchseg.harness.host import cpu_name
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.latency import Latency, LatencyConfig, measure_latency
from torchseg.modelfile.kinds import runtime_name
from torchseg.modelfile.precision import Precision
from torchseg.models import (
    STUDENTS,
    Student,
    build_model,
    count_parameters,
    fold_branches,
    format_arguments,
    multiply_adds,
    randomize_norms,
)
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.run.session import package_version
from torchseg.pipeline.students.table import TABLE, StudentRow, read_rows, write_rows
from torchseg.progress_bar import Progress
from torchseg.spec import ImageSpec

FILES = "files"
_CALIBRATED_WITH = 8  # generated images; a few suffice, because size and speed do not depend on the ranges
_PACKAGES: Mapping[str, Sequence[str]] = {
    "onnx": ("torchseg-compress", "torch", "onnx", "onnxruntime"),
    "tflite": ("torchseg-compress", "torch", "tensorflow", "ai-edge-litert"),
}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Built:
    """A student that is to be measured, and what is known of it without its file."""

    name: str
    student: Student
    network: nn.Module
    multiply_adds: int
    parameters: int


class Meter:
    """Measures the family for images of one size and one number of classes; keeps what it measured in a folder.

    Measures again only if the student, the size, the number of classes, a library or the processor differs.

    Args:
        spec: size, normalisation and classes of the images.
        folder: gets the table and the files.
        seed: of the random weights.
    """

    def __init__(self, spec: ImageSpec, folder: RunFolder, *, seed: int = 0) -> None:
        self.spec, self.folder, self.seed = spec, folder, seed

    def rows(self, kinds: Sequence[str]) -> list[StudentRow]:
        """The rows of all students in these formats, in the order of the family; measures those that are missing.

        Students that do not take images of this size are left out.

        Raises:
            ValueError: if no student takes images of this size, or a file cannot be run.
        """
        known = {row.key: row for row in read_rows(self._table)}
        wanted = {kind: {name: self._key(student, kind) for name, student in STUDENTS.items()} for kind in kinds}
        missing = {kind: [name for name, key in keys.items() if key not in known] for kind, keys in wanted.items()}
        built = self._built({name for names in missing.values() for name in names})
        self._write_files({kind: [each for each in built if each.name in missing[kind]] for kind in kinds})
        for kind in kinds:
            measured = self._timed([each for each in built if each.name in missing[kind]], kind)
            known |= {row.key: row for row in measured}
            write_rows(self._table, list(known.values()))
        found = [known[keys[name]] for name in STUDENTS for keys in wanted.values() if keys[name] in known]
        if not found:
            raise ValueError(
                f"no student takes images of {self.spec.height}x{self.spec.width}; give sides that are multiples of 16"
            )
        return found

    @property
    def _table(self) -> Path:
        return self.folder.path / TABLE

    def _key(self, student: Student, kind: str) -> tuple[object, ...]:
        size = self.spec.height, self.spec.width, self.spec.num_classes
        return (student.model, format_arguments(student.arguments), *size, kind, versions_of(kind), cpu_name())

    def _built(self, names: set[str]) -> list[_Built]:
        """The students of these names that take images of this size."""
        built = []
        for name in (each for each in STUDENTS if each in names):
            student = STUDENTS[name]
            network = build_model(student.model, student.arguments, self.spec, seed=self.seed).eval()
            stride = getattr(network, "stride", 1)
            if self.spec.height % stride or self.spec.width % stride:
                _LOG.info("%s is left out: it takes sides that are multiples of %d", name, stride)
                continue
            randomize_norms(network, seed=self.seed)
            fold_branches(network)
            work = multiply_adds(network, self.spec)
            built.append(_Built(name, student, network, work, count_parameters(network)))
        return built

    def _write_files(self, wanted: Mapping[str, Sequence[_Built]]) -> None:
        """Writes the files that are not there yet."""
        total = sum(map(len, wanted.values()))
        if not total:
            return
        images = _calibration(self.spec)
        students = {each.name: each for chosen in wanted.values() for each in chosen}
        with Progress(total, "writing int8 files") as progress:
            for each in students.values():
                conversion = Conversion(each.network, self.spec)  # shared by the formats
                for kind in (kind for kind, chosen in wanted.items() if each in chosen):
                    self.folder.do(self._file_stage(each, kind, conversion, images))
                    progress.advance()

    def _file_stage(self, built: _Built, kind: str, conversion: Conversion, images: NDArray[np.float32]) -> Stage:
        inputs = {"key": self._key(built.student, kind), "spec": self.spec.to_dict(), "seed": self.seed}
        output = f"{FILES}/{self._file_name(built.name, kind)}"

        def run(work: Path) -> None:
            (work / FILES).mkdir(exist_ok=True)
            conversion.write(work / output, precision=Precision.INT8, calibration=images)

        return Stage(name=output, inputs=inputs, outputs=[output], run=run)

    def _file_name(self, name: str, kind: str) -> str:
        return f"{name}.{self.spec.height}x{self.spec.width}x{self.spec.num_classes}.int8.{kind}"

    def _timed(self, built: Sequence[_Built], kind: str) -> Iterator[StudentRow]:
        """Times the files of one format in alternation."""
        if not built:
            return
        config = LatencyConfig()
        paths = [self.folder.path / FILES / self._file_name(each.name, kind) for each in built]
        image = _calibration(self.spec)[:1]
        with ExitStack() as stack, Progress(config.most_rounds, f"timing {kind}, rounds at most") as progress:
            processes = [stack.enter_context(RuntimeProcess(path, threads=config.threads)) for path in paths]
            for process in processes:
                process.load()
            images = [image] * len(processes)
            results = measure_latency(processes, images, config, after_round=progress.advance)
        for each, path, latency in zip(built, paths, results, strict=True):
            if isinstance(latency, Exception):
                raise latency
            yield self._row(each, path, latency)

    def _row(self, built: _Built, path: Path, latency: Latency) -> StudentRow:
        kind = path.suffix.removeprefix(".")
        return StudentRow(
            student=built.name,
            model=built.student.model,
            arguments=format_arguments(built.student.arguments),
            height=self.spec.height,
            width=self.spec.width,
            classes=self.spec.num_classes,
            format=kind,
            runtime=runtime_name(path),
            multiply_adds=built.multiply_adds,
            parameters=built.parameters,
            size_kb=path.stat().st_size / 1e3,
            latency_ms_median=round(latency.median_ms, 4),
            latency_ms_min=round(latency.min_ms, 4),
            gmac_per_s=round(built.multiply_adds / latency.min_ms / 1e6, 3),
            versions=versions_of(kind),
            cpu=cpu_name(),
        )


def versions_of(kind: str) -> str:
    """Versions of the libraries that write and run files of this format."""
    return ", ".join(f"{name} {package_version(name)}" for name in _PACKAGES[kind])


def _calibration(spec: ImageSpec) -> NDArray[np.float32]:
    """Generated images of this size, normalised: float32 `(B, C, H, W)`."""
    drawn = Scenes("train", height=spec.height, width=spec.width, length=_CALIBRATED_WITH)
    return spec.prepare(np.stack([drawn[index].picture for index in range(len(drawn))]))
