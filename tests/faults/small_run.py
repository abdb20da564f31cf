"""A run in miniature with every record that a command reads back, and what reads each of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from tf_bridge.certify.compare_certificates import recorded_lies
from torchseg.checkpoint import Card, load_checkpoint, save_checkpoint
from torchseg.data.cache import CachedSamples, CacheWriter
from torchseg.data.datasets.scenes import CLASSES, Scenes
from torchseg.data.masks.class_list import read_class_list
from torchseg.harness.csv_table import write_rows
from torchseg.harness.report.report import report_html
from torchseg.harness.report.run_record import read_run
from torchseg.harness.scoring.columns import CLASS_COLUMNS, CURVE_COLUMNS, IMAGE_COLUMNS, SCORE_COLUMNS
from torchseg.modelfile.certificate import read_certificate
from torchseg.modelfile.metadata import CLASSES as CLASS_ENTRY
from torchseg.modelfile.metadata import count_classes, metadata, recorded_spec
from torchseg.modelfile.precision import Precision
from torchseg.models import build_model
from torchseg.pipeline.commands.verify import _budget
from torchseg.pipeline.grid.record import read_training
from torchseg.pipeline.grid.trainer import RECORD, STAGE, TrainerRecord
from torchseg.pipeline.manifest.manifest import UNFINISHED, _left_by_another, manifest_problems, read_manifest
from torchseg.pipeline.run.dataset import read_report
from torchseg.pipeline.run.folder import RunFolder, Stage
from torchseg.pipeline.run.imported import FOLDER, Imported, all_imported, write_imported
from torchseg.pipeline.run.recorded_config import recorded_config
from torchseg.pipeline.run.session import recorded_training
from torchseg.pipeline.run.summary import answer_lines, table_lines
from torchseg.pipeline.search.record import TrialRecord, TrialRecords
from torchseg.record import read_json
from torchseg.spec import ImageSpec

SPEC = ImageSpec(height=8, width=8, classes=CLASSES)
_ARGUMENTS = {"base_width": 2, "depth": 1}
_FILE = f"artifacts/{STAGE}.fp32.onnx"
_TABLES = ("scores.csv", "per_class.csv", "precision_recall.csv", "per_image.csv", "ledger.csv", f"{STAGE}/curves.csv")
_SAMPLES = Scenes("train", height=8, width=8, length=2)


def write_small_run(run: Path, certificate: Callable[..., dict]) -> None:
    """Writes a run with one stage, one model file and all records, and a trial of a search."""
    card = Card(builder="small_unet", arguments=_ARGUMENTS, spec=SPEC, stage=STAGE, metrics={"val_miou": 0.5})
    save_checkpoint(build_model("small_unet", _ARGUMENTS, SPEC), card, run / STAGE)
    (run / "config.yaml").write_text("data: scenes\nimage_size: '8'\nseed: 0\nteacher: null\ntarget: null\n")
    environment = {"command": "python a.py", "training": {"training_precision": "fp32", "micro_batches": 2}}
    (run / "environment.json").write_text(json.dumps(environment))
    split = {"pictures": 2, "class_frequencies": dict.fromkeys(CLASSES, 0.5), "sha256": "0"}
    (run / "data.json").write_text(json.dumps(dict.fromkeys(("train", "transfer", "validation", "test"), split)))
    (run / "artifacts").mkdir()
    (run / _FILE).write_bytes(b"a file")
    (run / f"{_FILE}.json").write_text(json.dumps(_certificate(certificate)))
    (run / RECORD).write_text(json.dumps(asdict(TrainerRecord(peak_rss_mb=100.0, threads=1))))
    (run / FOLDER).mkdir()
    imported = {"stage": "net", "kind": "keras", "file": f"{FOLDER}/net.keras", "sha256": "0", "precision": "fp32"}
    write_imported(Imported(**imported, output="logits", spec=SPEC), run)
    TrialRecords(run).write(TrialRecord(number=1, status="done", parameters={"alpha": 0.5}, val_miou=0.5))
    (run / "classes.txt").write_text("sky #87ceeb\nroad #404040\ncar #ff0000\nignore #000000\n")
    texts = metadata(SPEC, layout="NCHW", precision=Precision.FP32)
    (run / "metadata.json").write_text(json.dumps(texts))
    _write_cache(run)
    _write_tables(run)
    _write_figures(run)
    (run / ".stages").mkdir()
    with RunFolder(run).held():
        RunFolder(run).note(_stage())
        begun = (run / UNFINISHED).read_bytes()
    (run / "left").mkdir()  # in its own place, since a command removes it when it ends
    (run / "left" / UNFINISHED).write_bytes(begun)


def _certificate(certificate: Callable[..., dict]) -> dict:
    differences = {"max_abs_error": 1e-6, "logit_range": 3.0, "argmax_agreement": 1.0, "iou_difference": {"sky": 0.0}}
    verdict = {"passed": True, "failures": [], "beyond_standard": [], "accuracy": "too few to say"}
    more = {"size_bytes": 6, "float_layers": ["head"], "float_latency_ratio": 1.5, "standard_limits": True}
    return certificate(differences=differences, verdict=verdict, thresholds={"max_miou_drop": 0.02}, **more)


def _stage() -> Stage:
    return Stage(name="one", inputs={"x": [1, "a"]}, outputs=["data.json"], run=lambda _: None)


def _write_cache(run: Path) -> None:
    cache = CacheWriter(run / "cache/train", limit_bytes=10**6)
    for index in range(len(_SAMPLES)):
        cache.add(_SAMPLES[index])
    cache.close()


def _write_tables(run: Path) -> None:
    both = [{"artifact": name, "runtime": "torch", "class": CLASSES[0], "image": "one"} for name in (STAGE, _FILE)]
    numbers = {"latency_ms_min": 1.5, "latency_ms_median": 2.0, "size_bytes": 1000, "threads": 1, "images": 2}
    numbers |= dict.fromkeys(("miou", "iou", "average_precision", "recall", "precision"), 0.5)
    formats = ({"format": "torch"}, {"format": "onnx", "latency_ratio": 0.5})
    described = {"stage": STAGE, "certified": True}
    rows = [{**each, **numbers, **described, **more} for each, more in zip(both, formats, strict=True)]
    columns = (SCORE_COLUMNS, CLASS_COLUMNS, CURVE_COLUMNS, IMAGE_COLUMNS)
    for name, names in zip(_TABLES, columns, strict=False):
        write_rows(run / name, names, [{name: row[name] for name in names if name in row} for row in rows])
    ledger = {"stage": STAGE, "artifact": _FILE, "tensor": "total", "sparsity": 0.5, "parameters": 10}
    write_rows(run / "ledger.csv", list(ledger), [ledger])
    epochs = [{"epoch": epoch, "train_loss": 0.5, "val_loss": 0.5, "val_miou": 0.25, "seconds": 1} for epoch in (1, 2)]
    write_rows(run / STAGE / "curves.csv", list(epochs[0]), epochs)


def _write_figures(run: Path) -> None:
    (run / "figures/gallery").mkdir(parents=True)
    for name in ("picture", "truth", "labels"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(run / f"figures/gallery/{name}.png")
    paths = {"picture": "figures/gallery/picture.png", "truth": "figures/gallery/truth.png"}
    sample = {"name": "one", "rank": "best", **paths, "labels": {_FILE: "figures/gallery/labels.png"}}
    files = [{"artifact": _FILE, "reference": "", "file": _FILE, "runtime": "torch"}]
    gallery = {"leader": _FILE, "classes": list(CLASSES), "artifacts": files, "samples": [sample]}
    (run / "figures/gallery.json").write_text(json.dumps(gallery))
    confusion = {"classes": list(CLASSES), "counts": {_FILE: [[3, 1], [0, 4]]}}
    (run / "figures/confusion.json").write_text(json.dumps(confusion))


def _report(run: Path) -> None:
    record = read_run(run)
    report_html(record)
    answer_lines(record, target=None)
    table_lines(run / "scores.csv")


def _certificates(run: Path) -> None:
    recorded = read_certificate(run / _FILE)
    _budget(recorded)
    recorded_lies(recorded, json.loads((run / "certificate.json").read_text()))


def _stamps(run: Path) -> None:
    RunFolder(run).is_done(_stage())
    with RunFolder(run).held():
        pass


def _grid(run: Path) -> None:
    record = read_training(run)
    for file in ("torch", "fp32.onnx"):
        record.training(), record.file(file), record.failure(file), record.average(file, CLASSES)


def _texts(run: Path) -> None:
    texts = {key: str(text) for key, text in read_json(run / "metadata.json", remedy="").items()}
    recorded_spec(texts, size=(8, 8), channels=3, path=run / "metadata.json")
    if CLASS_ENTRY in texts:
        count_classes(texts, path=run / "metadata.json")


def _cache(run: Path) -> None:
    cached = CachedSamples(run / "cache/train", _SAMPLES)
    for index in range(len(cached)):
        _ = cached[index]


# For each kind of record: the files of which one is damaged at a time, and what the commands do with them.
READERS: dict[str, tuple[tuple[str, ...], Callable[[Path], object]]] = {
    "config": (("config.yaml",), recorded_config),
    "environment": (("environment.json",), recorded_training),
    "card": ((f"{STAGE}/card.json",), lambda run: load_checkpoint(run / STAGE)),
    "certificate": ((f"{_FILE}.json",), _certificates),
    "stamp": ((".stages/one.json",), _stamps),
    "manifest": (("manifest.json",), lambda run: manifest_problems(run, read_manifest(run))),
    "unfinished": ((f"left/{UNFINISHED}",), lambda run: _left_by_another(run / "left")),
    "imported": ((f"{FOLDER}/net.json",), lambda run: list(all_imported(run))),
    "data": (("data.json",), lambda run: read_report(run, remedy="read the images again")),
    "cache": (("cache/train.json",), _cache),
    "trial": (("trials/001/trial.json",), lambda run: TrialRecords(run).observations({})),
    "grid": ((RECORD, f"{_FILE}.json", f"{STAGE}/card.json", *_TABLES[:2]), _grid),
    "metadata": (("metadata.json",), _texts),
    "classes": (("classes.txt",), lambda run: read_class_list(run / "classes.txt")),
    "tables": (_TABLES, _report),
    "figures": (("figures/gallery.json", "figures/confusion.json", "environment.json", f"{_FILE}.json"), _report),
}
