"""Exports networks at every precision in both formats and reports which files pass their certificate.

    python benchmarks/export_matrix.py --data oxford-pet --root FOLDER --rows matrix.csv --table FILE.md

The networks are trained for a few steps, or have random weights with --steps 0; in both cases batch norm has the
statistics of real images. Files that are in --rows already are not made again, so a stopped run resumes. Exits with 1
if a file fails.

Fp16 files are made as by the commands: if rounding all weights changes the class of too many pixels, the smallest
weight tensors stay in float32.

Dynamic and int8 files are judged by their drop of mean IoU against the masks; the agreement in --rows does not count
for them. Every file must also pass the checks of its layers: an honest file that fails these is a false alarm.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from prepared_network import arrays, predictor, prepared_network
from show_table import made_by
from torch import nn

from tf_bridge.certify.parity import Parity, compare
from tf_bridge.certify.proof import proven_on
from tf_bridge.certify.verdict import verdict
from tf_bridge.conversion import Conversion
from torchseg.config import FORMATS, DataConfig
from torchseg.harness.host import cpu_name
from torchseg.harness.runtimes.registry import open_runtime
from torchseg.modelfile.precision import Precision
from torchseg.models import MODELS
from torchseg.pipeline.run.dataset import Pictures, open_pictures

SMP: dict[str, dict[str, Any]] = {
    "smp:Unet:resnet18": {},
    "smp:Unet:mobilenet_v2": {"decoder_attention_type": "scse"},
    "smp:Unet:timm-tf_efficientnet_lite0": {},
    "smp:Linknet:resnet18": {},
}
JUDGED_ON, CALIBRATED_WITH = 16, 32
PACKAGES = ("torch", "segmentation-models-pytorch", "tensorflow", "onnx", "onnxruntime", "ai-edge-litert")
FILES = [(precision, kind) for precision in Precision for kind in FORMATS]
# The number that decides the certificate at each precision, and its format in the table.
SHOWN = {
    Precision.FP32: ("error_share", "{:.4f}"),
    Precision.FP16: ("argmax_agreement", "{:.3f}"),
    Precision.DYNAMIC: ("miou_drop", "{:+.2f}"),
    Precision.INT8: ("miou_drop", "{:+.2f}"),
}


class File(NamedTuple):
    """Identifies one exported file."""

    data: str
    steps: int
    network: str
    size: str
    precision: Precision
    format: str


@dataclass(frozen=True)
class Row:
    """Result for one file; shares, not percent."""

    file: File
    failures: str  # empty if the certificate passes
    error_share: float = np.nan  # largest logit error over the range of the logits
    argmax_agreement: float = np.nan
    miou_drop: float = np.nan
    size_bytes: int = 0
    float_layers: int = 0  # of an fp16 file: layers whose weights stayed in float32


Rows = dict[File, Row]


class Judged:
    """A network with the images that its files are compared on; caches the predictions of the network."""

    def __init__(self, model: nn.Module, pictures: Pictures) -> None:
        spec = pictures.spec
        self.conversion, self.num_classes = Conversion(model, spec), spec.num_classes
        self.calibration = arrays(pictures.train, spec, CALIBRATED_WITH)[0]
        self.images, self.masks = arrays(pictures.validation, spec, JUDGED_ON)
        self._answers: dict[bytes, np.ndarray] = {}

    def reference(self, images: np.ndarray) -> np.ndarray:
        """Logits of PyTorch, `(B, K, H, W)`, for images `(B, C, H, W)`."""
        key = images.tobytes()
        if key not in self._answers:
            self._answers[key] = predictor(self.conversion.model)(images)
        return self._answers[key]


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    rows: Rows = {row.file: row for row in _read(arguments.rows)}
    for size in arguments.sizes:
        pictures = open_pictures(DataConfig(data=arguments.data, root=arguments.root, image_size=size))
        for name in arguments.models:
            for steps in arguments.steps:
                for row in _missing(rows, name, pictures, (arguments.data, steps)):
                    rows[row.file] = row
                    _append(arguments.rows, row)
                    print(*row.file[1:], row.failures or "passes", flush=True)
    asked = [row for row in rows.values() if row.file.data == arguments.data and row.file.steps in arguments.steps]
    if arguments.table:
        lines = [*_conditions(arguments)]
        for steps in arguments.steps:
            lines += _section(steps, [row for row in asked if row.file.steps == steps])
        steps = " ".join(map(str, arguments.steps))
        command = (
            f"python benchmarks/export_matrix.py --data {arguments.data} --root FOLDER --steps {steps} --rows FILE"
        )
        lines.append(made_by(command))
        arguments.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(any(row.failures for row in asked))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="scenes")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["96", "160,224", "256"])
    parser.add_argument("--models", nargs="+", default=[*MODELS, *SMP])
    parser.add_argument("--steps", type=int, nargs="+", default=[24], help="of training with 8 images each")
    parser.add_argument("--rows", type=Path, required=True, help="CSV file of all results; grows")
    parser.add_argument("--table", type=Path)
    return parser.parse_args(argv)


def _missing(rows: Rows, name: str, pictures: Pictures, run: tuple[str, int]) -> Iterator[Row]:
    """Makes the files of one network that are not in `rows` yet; `run` is the name of the data and the steps."""
    size = f"{pictures.spec.height}x{pictures.spec.width}"
    files = [File(*run, name, size, precision, kind) for precision, kind in FILES]
    missing = [file for file in files if file not in rows]
    if missing:
        network = Judged(prepared_network(name, SMP.get(name, {}), pictures, steps=run[1]), pictures)
        yield from (_row(file, network) for file in missing)


def _row(file: File, network: Judged) -> Row:
    """Writes one file and compares it with the network."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"net.{file.format}"
        try:
            float_layers = _write(network, path, file)
            parity = _judge(network, path)
            images = [network.images[[at]] for at in proven_on(parity.worst_image, len(network.images))]
            shown = list(zip(images, images, strict=True))
            proof = network.conversion.prove(path, shown, precision=file.precision, calibration=network.calibration)
        except ValueError as error:
            return Row(file=file, failures=str(error))
        return Row(
            file=file,
            failures="; ".join([*verdict(parity, file.precision), *proof.failures]),
            error_share=(parity.max_abs_error or 0.0) / parity.logit_range,
            argmax_agreement=parity.argmax_agreement,
            miou_drop=parity.miou_drop,
            size_bytes=path.stat().st_size,
            float_layers=float_layers,
        )


def _write(network: Judged, path: Path, file: File) -> int:
    """Writes one file; returns the number of layers with float32 weights in an fp16 file, else 0."""
    if file.precision is Precision.FP16:
        kept = network.conversion.write_fp16(path, lambda each: not verdict(_judge(network, each), file.precision))
        return len(kept)
    calibration = network.calibration if file.precision is Precision.INT8 else None
    network.conversion.write(path, precision=file.precision, calibration=calibration)
    return 0


def _judge(network: Judged, path: Path) -> Parity:
    predict = open_runtime(path).predict
    return compare(network.reference, predict, network.images, network.masks, num_classes=network.num_classes)


def _read(path: Path) -> Iterator[Row]:
    if path.exists():
        with path.open(newline="", encoding="utf-8") as lines:
            for data, steps, network, size, precision, kind, failures, *numbers, size_bytes, layers in csv.reader(
                lines
            ):
                file = File(data, int(steps), network, size, Precision(precision), kind)
                error, agreement, drop = map(float, numbers)
                yield Row(file, failures, error, agreement, drop, int(size_bytes), int(layers))


def _append(path: Path, row: Row) -> None:
    with path.open("a", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerow([*row.file, *astuple(row)[1:]])


def _conditions(arguments: argparse.Namespace) -> list[str]:
    """The conditions of the numbers, for the head of the table."""
    return [
        "# Certificates of every network",
        "",
        f"Batch norm has the statistics of {CALIBRATED_WITH} images of {arguments.data}, which calibrate int8 files,",
        f"too; judged on {JUDGED_ON} other images.",
        "The thresholds are those of `docs/reference/model-files.md`. Each cell is the",
        "number that the certificate looks at: the largest logit error in % of the range of the logits (fp32), the",
        "share of pixels with the same class in % (fp16), points of mean IoU lost (dynamic, int8). Bold: fails.",
        "Empty: not done yet. In brackets: layers of an fp16 file whose weights stay in float32, and the bytes of the",
        "file over half of those of the fp32 file.",
        "",
        ", ".join(f"{name} {version(name)}" for name in PACKAGES) + f"; {cpu_name()}.",
        "",
    ]


def _section(steps: int, rows: Sequence[Row]) -> list[str]:
    """Table with one line per network and size and one cell per file."""
    passing = f"{sum(not row.failures for row in rows)} of {len(rows)} files pass."
    titles = [f"{precision} {kind}" for precision, kind in FILES]
    lines = [f"## {f'After {steps} steps of training' if steps else 'Random weights'}", "", passing, ""]
    lines += ["| network | size | " + " | ".join(titles) + " |", "|---|---|" + "---:|" * len(titles)]
    bytes_of = {row.file: row.size_bytes for row in rows}
    cells = {row.file[2:]: _cell(row, bytes_of.get(row.file._replace(precision=Precision.FP32), 0)) for row in rows}
    for network, size in dict.fromkeys((row.file.network, row.file.size) for row in rows):
        line = [cells.get((network, size, *file), "") for file in FILES]
        lines.append(f"| {network} | {size} | " + " | ".join(line) + " |")
    refused = [f"- {row.file.network} {row.file.size}: {row.failures}" for row in rows if row.size_bytes == 0]
    return [*lines, "", *refused, ""] if refused else [*lines, ""]


def _cell(row: Row, fp32_bytes: int) -> str:
    name, form = SHOWN[row.file.precision]
    text = form.format(100 * getattr(row, name))
    text = f"**{text}**" if row.failures else text
    return f"{text} ({row.float_layers}, {2 * row.size_bytes / fp32_bytes:.2f})" if row.float_layers else text


if __name__ == "__main__":
    sys.exit(main())
