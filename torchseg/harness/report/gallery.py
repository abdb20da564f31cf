"""The comparison of a report: images with two predictions over them and a slider between the two."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from torchseg.harness.drawing import DIFFERENT, WRONG, indexed, palette
from torchseg.harness.format import percent, short_name
from torchseg.harness.report.recommendation.facts import reference_name
from torchseg.harness.report.recommendation.recommend import Recommendation
from torchseg.harness.report.run_record import RunRecord, number

_log = logging.getLogger(__name__)
Labels = NDArray[np.uint8]
_UNKNOWN = 255
_QUALITY = 85  # JPEG: the images make up most of the page
_LONGEST_SIDE = 512  # pixels of an image on the page, which stays below 4 MB with the most images that a gallery has
_IMAGE, _TRUTH = "image", "truth"


def gallery(run: RunRecord, found: Recommendation | None) -> str:
    """Images with a slider between truth, reference and recommended file, as HTML; empty if the run saved none.

    Without a recommendation, the file is the one that the images were chosen by.
    """
    samples = run.gallery.get("samples", [])
    files = _files(run, found)
    if not samples or not files:
        return ""
    layers = {_IMAGE: "image", _TRUTH: "truth"} | {key: title for key, (_, title) in files.items()}
    layers |= {"wrong": f"wrong pixels of {layers['file']}"}
    if _source(run, files) in _keys(run):
        layers |= {"changed": "pixels that export changed"}
    colours = palette()
    keys = "".join(
        f'<span><i style="background:rgb({",".join(str(part) for part in colours[at])})"></i>{escape(str(name))}</span>'
        for at, name in enumerate(run.gallery.get("classes", []))
    )
    figures = "".join(_figure_or_nothing(run, sample, files) for sample in samples)
    return (
        f'<div class="compare" data-left="{_TRUTH}" data-right="file"><div class="choose">'
        f"{_select('left', layers, _TRUTH)}{_select('right', layers, 'file')}"
        '<label><input type="checkbox" checked> over the image</label></div>'
        f'<p class="legend">{keys}</p><div class="samples">{figures}</div></div>'
    )


def _files(run: RunRecord, found: Recommendation | None) -> dict[str, tuple[str, str]]:
    """Key in the gallery and title of `teacher` (what is compared with) and `file`, as far as they were saved."""
    described = run.gallery.get("artifacts", [])
    rows = {"teacher": found.reference, "file": found.file} if found else {}
    files = {}
    for name, row in rows.items():
        runtimes = (None, "", row.get("runtime"))
        keys = [str(each["artifact"]) for each in described if each.get("file", each["artifact"]) == row["artifact"]]
        right = [
            str(each["artifact"])
            for each in described
            if str(each["artifact"]) in keys and each.get("runtime") in runtimes
        ]
        if keys:
            title = reference_name(row) if name == "teacher" else short_name(row["artifact"])
            files[name] = ((right or keys)[0], title)
    if "file" not in files and (leader := str(run.gallery.get("leader", ""))):
        files["file"] = (leader, short_name(leader))
    return files if "file" in files else {}


def _keys(run: RunRecord) -> set[str]:
    return {str(each["artifact"]) for each in run.gallery.get("artifacts", [])}


def _source(run: RunRecord, files: Mapping[str, tuple[str, str]]) -> str:
    """Key of the checkpoint that the file was exported from; empty for a checkpoint."""
    key = files["file"][0]
    known = {str(each["artifact"]): str(each.get("reference", "")) for each in run.gallery.get("artifacts", [])}
    return known.get(key, "") if known.get(key, "") != key else ""


def _select(side: str, layers: Mapping[str, str], chosen: str) -> str:
    options = "".join(
        f'<option value="{key}"{" selected" if key == chosen else ""}>{escape(title)}</option>'
        for key, title in layers.items()
    )
    return f'<label>{side} <select data-side="{side}">{options}</select></label>'


def _figure_or_nothing(run: RunRecord, sample: Mapping[str, Any], files: Mapping[str, tuple[str, str]]) -> str:
    try:
        return _figure(run, sample, files)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises for damage
        _log.warning("left out of the report: image %s, whose files are damaged (%s)", sample["name"], error)
        return ""


def _figure(run: RunRecord, sample: Mapping[str, Any], files: Mapping[str, tuple[str, str]]) -> str:
    saved = sample["labels"]
    truth = _labels(run.folder / str(sample["truth"]))
    found = {name: _labels(run.folder / str(saved[key])) for name, (key, _) in files.items() if key in saved}
    step = -(-max(truth.shape) // _LONGEST_SIDE)
    layers = {name: _labels_url(labels[::step, ::step]) for name, labels in ({_TRUTH: truth} | found).items()}
    notes = [_note(run, sample, *files[name]) for name in found]
    if "file" in found:
        wrong = (found["file"] != truth) & (truth != _UNKNOWN)
        layers["wrong"] = _mask_url(_any_of(wrong, step), WRONG)
        if source := saved.get(_source(run, files)):
            changed = found["file"] != _labels(run.folder / str(source))
            layers["changed"] = _mask_url(_any_of(changed, step), DIFFERENT)
            notes.append(f"{int(changed.sum())} px changed by export")
    picture = _picture_url(run.folder / str(sample["picture"]), step)
    style = f"--shape:{truth.shape[1]}/{truth.shape[0]};--image:url({picture})"
    style += "".join(f";--{name}:url({url})" for name, url in layers.items())
    heading = f"{sample['rank']}: {sample['name']}"
    panes = "".join(f'<span class="pane {side}"><i></i><b></b></span>' for side in ("right", "left"))
    return (
        f'<figure class="sample" style="{style}"><figcaption><strong>{escape(heading)}</strong></figcaption>'
        f'<div class="stack">{panes}<input type="range" min="0" max="100" value="50" '
        f'aria-label="{escape(f"{heading}: share of the left view, percent")}"><span class="handle"></span></div>'
        f"<figcaption>{'<br>'.join(escape(note) for note in notes if note)}</figcaption></figure>"
    )


def _note(run: RunRecord, sample: Mapping[str, Any], key: str, title: str) -> str:
    """IoU and Dice of a file on one image; a file that ran in several runtimes has one row per runtime."""
    about: Mapping[str, Any] = next(
        (each for each in run.gallery.get("artifacts", []) if str(each["artifact"]) == key), {}
    )
    file, runtime = about.get("file", key), about.get("runtime")
    row = next(
        (
            row
            for row in run.pictures
            if (row["artifact"], row["image"]) == (file, sample["name"]) and runtime in (None, row.get("runtime"))
        ),
        {},
    )
    known = {"IoU": number(row, "miou"), "Dice": number(row, "mean_dice")}
    shares = ", ".join(f"{name} {percent(value, digits=1)}" for name, value in known.items() if value is not None)
    return f"{title}: {shares}" if shares else ""


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


def _any_of(marked: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    """The marks `(H, W)` by squares of `step` pixels: one is marked if any of its pixels is, so that none gets lost."""
    height, width = marked.shape
    padded = np.pad(marked, ((0, -height % step), (0, -width % step)))
    return np.asarray(padded.reshape(padded.shape[0] // step, step, -1, step).any(axis=(1, 3)))


def _picture_url(path: Path, step: int) -> str:
    """The image, with squares of `step` pixels averaged."""
    with Image.open(path) as image:
        return _url(image.convert("RGB").reduce(step), "JPEG", quality=_QUALITY)


def _url(image: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
