"""The export command: writes model files of one trained network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torchseg.checkpoint import read_card
from torchseg.cli.command import CHECK_FAILED, DONE, other_command
from torchseg.config import DataConfig, ExportConfig, LearningConfig
from torchseg.modelfile.precision import Precision
from torchseg.pipeline.export.budget import Budget
from torchseg.pipeline.export.exporter import NetworkExport
from torchseg.pipeline.export.variants import variants
from torchseg.pipeline.run.dataset import Pictures, open_pictures
from torchseg.pipeline.run.folder import RunFolder, held_run, is_run
from torchseg.pipeline.run.installed import check_formats
from torchseg.pipeline.run.lock import read_locked
from torchseg.pipeline.run.recorded_config import data_of_run
from torchseg.pipeline.stages.export import ARTIFACTS
from torchseg.pipeline.stages.qat import train_for_int8


def export(config: ExportConfig) -> int:
    """Exports the checkpoint in every format and precision asked for; returns 1 if a certificate fails, otherwise 0."""
    failed = False
    for file in export_network(config):
        failed |= not file.certificate["verdict"]["passed"]
        print(f"{file.path}: {_certificate_line(file.certificate, searched=config.max_drop is not None)}")
    print(f"  next     {other_command('predict')} {file.plain} IMAGE...")
    return CHECK_FAILED if failed else DONE


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One exported file.

    Attributes:
        path: of the file.
        plain: the file of the same format and precision that a variant was made beside; `path` itself if plain.
        certificate: contents of the JSON file beside it.
    """

    path: Path
    plain: Path
    certificate: dict[str, Any]


def export_network(config: ExportConfig) -> Iterator[Exported]:
    """Exports the checkpoint in every format and precision asked for; yields each file once it is certified.

    Args:
        config: what to export. The images to calibrate and certify with are those of its `data`, or else those of the
            run that the checkpoint lies in.

    Raises:
        ValueError: if the checkpoint is not one, or was made for other images.
    """
    check_formats(kind for kind, _ in config.files)
    card = read_card(config.checkpoint)
    data = data_of_run(config, config.checkpoint)
    pictures = open_pictures(data).scaled((card.spec.mean, card.spec.std))
    if pictures.spec != card.spec:
        raise ValueError(
            f"{config.checkpoint} was made for {card.spec.describe()}, but the data gives {pictures.spec.describe()}; "
            "give its own --data and --image_size"
        )
    out = config.out or config.checkpoint.parent / ARTIFACTS
    with _holding(config, out):
        yield from _export(config, data, pictures, out)


def _holding(config: ExportConfig, out: Path) -> AbstractContextManager[None]:
    """Keeps others from writing into the checkpoint's run; a run that is only read may be on a read-only disk."""
    run = config.checkpoint.parent
    writes = config.qat_epochs or out.resolve().is_relative_to(run.resolve())
    return held_run(run) if writes else read_locked(run)


def _export(config: ExportConfig, data: DataConfig, pictures: Pictures, out: Path) -> Iterator[Exported]:
    checkpoint = _after_training(config, data, pictures, out) if config.qat_epochs else config.checkpoint
    out.mkdir(parents=True, exist_ok=True)
    exported = NetworkExport(checkpoint, pictures, Budget.of_points(config.max_drop, config.max_class_drop))
    for kind, precision in config.files:
        path = out / f"{read_card(checkpoint).stage}.{precision}.{kind}"
        certificate = exported.export(path, precision=Precision(precision))
        yield Exported(path=path, plain=path, certificate=certificate)
        for further, write in variants(path, config, exported, precision=Precision(precision)):
            write()
            yield Exported(path=further, plain=path, certificate=exported.certify_like(further, certificate))


def _after_training(config: ExportConfig, data: DataConfig, pictures: Pictures, out: Path) -> Path:
    """Runs quantization-aware training and returns its checkpoint, in the run or, if there is no run, in `out`."""
    parent = config.checkpoint.parent
    folder = RunFolder(parent if is_run(parent) else out)
    values = {field.name: getattr(data, field.name) for field in fields(DataConfig)}
    values |= {name: getattr(config, name) for name in ("seed", "threads", "training_precision", "device", "workers")}
    training = LearningConfig(**values)
    checkpoint = train_for_int8(config.checkpoint, folder, pictures, training, epochs=config.qat_epochs)
    before, after = (100 * read_card(checkpoint).metrics[name] for name in ("val_miou_untrained", "val_miou"))
    print(
        f"{checkpoint}: {after:.2f} % mean IoU on the validation split, int8 simulated; {before:.2f} % before training"
    )
    return checkpoint


def _certificate_line(certificate: dict[str, Any], *, searched: bool) -> str:
    """One sentence on a file's certificate."""
    agreement = f"agrees on {100 * certificate['differences']['argmax_agreement']:.3f} % of pixels"
    if failures := certificate["verdict"]["failures"]:
        helpless = certificate["precision"] == Precision.INT8 and searched
        advice = "; leaving layers in float does not hold that budget: give a larger --max_drop or --qat_epochs"
        return f"{agreement}; {'; '.join(failures)}{advice if helpless else ''}"
    if layers := certificate["float_layers"]:
        ratio = certificate["float_latency_ratio"]
        time = f", which takes {ratio:.2f} times as long" if ratio else ""
        return f"{agreement}; certified with {', '.join(layers)} in {'float' if ratio else 'float32'}{time}"
    return f"{agreement}; certified"
