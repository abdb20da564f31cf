"""The gallery of a report: each image, its true mask, and the prediction of each model file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.harness.drawing import indexed, palette
from torchseg.harness.format import percent, short_name
from torchseg.harness.report.run_record import Row, RunRecord, number

Labels = NDArray[np.uint8]
_MODES = {
    "overlay": "classes over the image",
    "classes": "classes",
    "errors": "wrong pixels",
    "drift": "pixels that export changed",
}
_UNKNOWN = 255
_QUALITY = 85  # JPEG: the images make up most of the page


def gallery(run: RunRecord) -> str:
    """Rows of tiles as HTML, best images first; empty if the run saved none."""
    samples = run.gallery.get("samples", [])
    if not samples:
        return ""
    choices = "".join(
        f'<input type="radio" name="mode" id="mode-{mode}"{" checked" if mode == "overlay" else ""}>'
        f'<label for="mode-{mode}">{text}</label>'
        for mode, text in _MODES.items()
    )
    colours = palette()
    keys = "".join(
        f'<span><i style="background:rgb({",".join(str(part) for part in colours[at])})"></i>{escape(str(name))}</span>'
        for at, name in enumerate(run.gallery.get("classes", []))
    )
    rows = "".join(_row(run, sample) for sample in samples)
    return f'<div class="gallery">{choices}<p class="legend">{keys}</p>{rows}</div>'


def _row(run: RunRecord, sample: Mapping[str, Any]) -> str:
    truth = _labels(run.folder / str(sample["truth"]))
    found = {name: _labels(run.folder / str(path)) for name, path in sample["labels"].items()}
    described = {str(each["artifact"]): each for each in run.gallery.get("artifacts", [])}
    rows = [row for row in run.pictures if row.get("image") == sample["name"]]
    tiles = [_tile("picture", "", []), _tile("truth", "", [("truth", _labels_url(truth))])]
    for name, labels in found.items():
        reference = found.get(described.get(name, {}).get("reference", ""))
        tiles.append(_model_tile(name, labels, truth, reference, _scores(rows, name, described.get(name, {}))))
    heading = f"{sample['rank']}: {sample['name']}"
    return (
        f'<section class="sample" style="--picture:url({_picture_url(run.folder / str(sample["picture"]))});'
        f'--shape:{truth.shape[1]}/{truth.shape[0]}"><h3>{escape(heading)}</h3>'
        f'<div class="tiles">{"".join(tiles)}</div></section>'
    )


def _scores(rows: Sequence[Row], name: str, about: Mapping[str, Any]) -> Row:
    """A file's row among the rows of one image; a file that ran in several runtimes has one row per runtime."""
    file, runtime = about.get("file", name), about.get("runtime")
    return next((row for row in rows if row["artifact"] == file and runtime in (None, row.get("runtime"))), {})


def _model_tile(name: str, labels: Labels, truth: Labels, reference: Labels | None, scores: Row) -> str:
    """One file's prediction; `errors` marks wrong known pixels, `drift` pixels that differ from its PyTorch model."""
    wrong = (labels != truth) & (truth != _UNKNOWN)
    layers = [("labels", _labels_url(labels)), ("errors", _mask_url(wrong, (220, 38, 38)))]
    known = {"IoU": number(scores, "miou"), "Dice": number(scores, "mean_dice")}
    notes = [f"{title} {percent(value, digits=1)}" for title, value in known.items() if value is not None]
    if reference is not None and reference.shape == labels.shape and reference is not labels:
        drift = labels != reference
        layers.append(("drift", _mask_url(drift, (192, 38, 211))))
        notes.append(f"{int(drift.sum())} px changed")
    return _tile(short_name(name), ", ".join(notes), layers)


def _tile(title: str, note: str, layers: list[tuple[str, str]]) -> str:
    images = "".join(f'<img class="{kind}" alt="" src="{url}">' for kind, url in layers)
    plain = "" if layers else " plain"
    caption = f"{escape(title)}<small>{escape(note)}</small>"
    return (
        f'<figure class="tile"><div class="stack{plain}" role="img" aria-label="{escape(f"{title} {note}".strip())}">'
        f'<div class="picture"></div>{images}</div><figcaption>{caption}</figcaption></figure>'
    )


def _labels(path: Path) -> Labels:
    """Classes `(H, W)`: the pixel values of an indexed PNG."""
    with Image.open(path) as image:
        return np.asarray(image, np.uint8)


def _labels_url(labels: Labels) -> str:
    return _url(indexed(labels), "PNG", optimize=True)


def _mask_url(marked: NDArray[np.bool_], colour: tuple[int, int, int]) -> str:
    """A PNG with the marked pixels `(H, W)` in one colour and the others transparent."""
    image = Image.fromarray(marked.astype(np.uint8))
    image.putpalette([0, 0, 0, *colour])
    return _url(image, "PNG", optimize=True, bits=1, transparency=0)


def _picture_url(path: Path) -> str:
    with Image.open(path) as image:
        return _url(image.convert("RGB"), "JPEG", quality=_QUALITY)


def _url(image: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
