"""Measures the files of one training while nothing else runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torchseg.checkpoint import sha256_of
from torchseg.config import MeasureConfig
from torchseg.harness.report.report import write_report
from torchseg.harness.scoring.latency import LatencyConfig
from torchseg.harness.scoring.score import score_artifacts
from torchseg.pipeline.grid.per_image import PICTURES, VIEWS, PictureTimes
from torchseg.pipeline.grid.plan import TRAININGS, Training
from torchseg.pipeline.grid.trainer import STAGE, TrainingRunner
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import Stage
from torchseg.pipeline.stages.scoring import TABLES, find_artifacts


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """Measures the trainings of a grid and writes the tables into their run folders.

    Attributes:
        maker: knows the files to measure.
        pictures: the data set of each training, by the training's name.
        measure: how to measure.
    """

    maker: TrainingRunner
    pictures: Mapping[str, Pictures]
    measure: MeasureConfig

    def is_done(self, training: Training) -> bool:
        """Whether exactly these files were measured with exactly these settings."""
        return self.maker.folder.is_done(self._stage(training))

    def score(self, training: Training) -> dict[str, str]:
        """Measures every file that exists; returns the reason for each that failed, by its name."""
        run, pictures = self.maker.run(training), self.pictures[training.name]
        wanted = {self.maker.artifact(training, file): file for file in self._files(training)}
        artifacts = [each for each in find_artifacts(run, [STAGE]) if each.path in wanted]
        times = PictureTimes(run, pictures.test, self.measure)
        failures = score_artifacts(
            artifacts,
            pictures.test,
            pictures.spec,
            run,
            config=LatencyConfig(threads=self.measure.threads, budget_s=10.0),
            while_open=times,
        )
        write_report(run)
        if failures:
            return {wanted[each.artifact.path]: f"measuring: {each.reason}" for each in failures}
        self.maker.folder.note(self._stage(training))
        return {}

    def _files(self, training: Training) -> list[str]:
        files = self.maker.plan.files(training)
        return [file for file in files if self.maker.artifact(training, file).exists()]

    def _stage(self, training: Training) -> Stage:
        files = self._files(training)
        inputs = {
            "files": {file: sha256_of(_weights(self.maker.artifact(training, file))) for file in files},
            "pictures": self.pictures[training.name].fingerprint,
            "measure": dataclasses.asdict(self.measure),
            "version": 1,
        }
        names = [*TABLES, PICTURES, *(f"{VIEWS}/{file}.png" for file in files)]
        outputs = [f"{TRAININGS}/{training.name}/{name}" for name in names]
        return Stage(name=f"score/{training.name}", inputs=inputs, outputs=outputs, run=lambda _: None)


def _weights(path: Path) -> Path:
    return path / "model.safetensors" if path.is_dir() else path
