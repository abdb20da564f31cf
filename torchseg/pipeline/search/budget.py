"""The cost of a student's model file, and whether it is within the budget of a search."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tf_bridge.onnx.export import export_onnx
from torchseg.atomic_file import save_text
from torchseg.config import DistillConfig, SearchConfig
from torchseg.harness.runtimes.process import RuntimeProcess
from torchseg.harness.scoring.latency import LatencyConfig, measure_latency
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model, fold_branches, multiply_adds, parse_arguments, randomize_norms
from torchseg.pipeline.export.calibration import calibration_images
from torchseg.pipeline.run.dataset import Pictures
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.record import build, read_json

_FREE = {"dropout"}  # arguments that do not change the exported file's cost


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one file.

    Attributes:
        size_bytes: on disk.
        multiply_adds: per image.
        latency_ms: fastest prediction of one image on one thread, in ms; None if it was not measured.
    """

    size_bytes: int
    multiply_adds: int
    latency_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class SearchBudget:
    """Upper limits for the cost of a file; None sets no limit."""

    max_bytes: float | None = None
    max_ms: float | None = None

    def overrun(self, cost: Cost) -> float:
        """The largest share by which the cost exceeds a limit; 0 if it exceeds none."""
        shares = [cost.size_bytes / self.max_bytes - 1] if self.max_bytes else []
        if self.max_ms and cost.latency_ms is not None:
            shares.append(cost.latency_ms / self.max_ms - 1)
        return max(0.0, *shares)

    @property
    def text(self) -> str:
        """The limits as text."""
        size = f"{self.max_bytes / 1e3:.1f} kB" if self.max_bytes else ""
        time = f"{self.max_ms:g} ms" if self.max_ms else ""
        return " and ".join(filter(None, (size, time)))


class CostMeter:
    """Measures what a configuration's student costs as an ONNX file.

    The cost depends on the layers and not on the weights. So it is known before the training (the size exactly) and
    measured once per architecture, for all trials that share it.
    """

    def __init__(self, config: SearchConfig, pictures: Pictures, folder: RunFolder) -> None:
        self.config, self.pictures, self.folder = config, pictures, folder

    def cost(self, candidate: DistillConfig) -> Cost:
        """Measures the file's cost, or reads an earlier measurement.

        Raises:
            ValueError: if the network cannot be exported or run.
        """
        stage = self._stage(candidate)
        self.folder.do(stage)
        path = self.folder.path / stage.outputs[0]
        remedy = "delete it to measure again"
        return build(Cost, read_json(path, remedy=remedy).get("cost", {}), path=path, remedy=remedy)

    def budget(self) -> SearchBudget:
        """The limits in the flags; without any, the file size of the configuration as given."""
        if self.config.max_kb is None and self.config.max_ms is None:
            return SearchBudget(max_bytes=self.cost(self.config).size_bytes)
        size = None if self.config.max_kb is None else 1e3 * self.config.max_kb
        return SearchBudget(max_bytes=size, max_ms=self.config.max_ms)

    def _stage(self, candidate: DistillConfig) -> Stage:
        arguments = parse_arguments(candidate.student_arguments)
        network = {
            "student": candidate.student,
            "arguments": {name: value for name, value in arguments.items() if name not in _FREE},
        }
        name = hashlib.sha256(json.dumps(network, sort_keys=True).encode()).hexdigest()[:12]
        inputs = network | {
            "spec": self.pictures.spec.to_dict(),
            "precision": self.config.budget_precision,
            "timed": self.config.max_ms is not None,
            "version": 2,
        }
        output = f"costs/{name}.json"

        def run(work: Path) -> None:
            (work / output).parent.mkdir(parents=True, exist_ok=True)
            cost = asdict(self._measure(candidate))
            save_text(work / output, json.dumps(network | {"cost": cost}, indent=2) + "\n")

        return Stage(name=f"costs/{name}", inputs=inputs, outputs=[output], run=run)

    def _measure(self, candidate: DistillConfig) -> Cost:
        spec, precision = self.pictures.spec, Precision(self.config.budget_precision)
        network = build_model(candidate.student, parse_arguments(candidate.student_arguments), spec).eval()
        randomize_norms(network)
        fold_branches(network)
        images = calibration_images(self.pictures) if precision is Precision.INT8 else None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "student.onnx"
            export_onnx(network, spec, path, precision=precision, calibration=images)
            return Cost(
                size_bytes=path.stat().st_size,
                multiply_adds=multiply_adds(network, spec),
                latency_ms=self._latency_ms(path) if self.config.max_ms is not None else None,
            )

    def _latency_ms(self, path: Path) -> float:
        """Fastest prediction in ms on one thread, in a separate process."""
        image = self.pictures.spec.prepare(self.pictures.validation[0].picture[None])
        with RuntimeProcess(path, threads=1) as process:
            process.load()
            (latency,) = measure_latency([process], [image], LatencyConfig(budget_s=5.0))
        if isinstance(latency, Exception):
            raise latency
        return latency.min_ms
