"""Draws classes over images, and sheets of such images side by side."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from torchseg.data import Sample
from torchseg.data.images.reader import grey_or_colours
from torchseg.harness.format import percent
from torchseg.metrics import confusion_matrix, overlap
from torchseg.spec import ImageSpec

Picture = NDArray[np.uint8]  # (H, W, C); of other than three channels the first three are shown, or the first as grey
Labels = NDArray[np.uint8]  # (H, W)
WRONG, DIFFERENT = (220, 38, 38), (192, 38, 211)
_SIDE = 360  # longer side of a panel, in pixels
_GAP, _TEXT = 10, 15
_INK, _SOFT_INK, _PAPER = (24, 24, 27), (113, 113, 122), (255, 255, 255)

# The colours of Okabe and Ito, which people with any kind of colour vision can tell apart; the last two are a lighter
# and a darker variant.
_FIRST = ("0072B2", "E69F00", "009E73", "CC79A7", "F0E442", "56B4E9", "D55E00", "8A8A8A", "A6CEE3", "6A3D9A")
_UNKNOWN = (40, 40, 40)


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """One image of a sheet, with the title and the note below it."""

    picture: Picture
    title: str
    note: str = ""


def overlay(picture: Picture, labels: Labels) -> Picture:
    """RGB image `(H, W, 3)` with the classes `(H, W)` as half-transparent colours over it and opaque borders."""
    colours = palette()[labels]
    picture = grey_or_colours(picture)
    mixed = (picture.astype(np.float32) * 0.5 + colours * 0.5).astype(np.uint8)
    return np.where(_borders(labels)[..., None], colours, mixed)


def marked(picture: Picture, where: NDArray[np.bool_], colour: tuple[int, int, int]) -> Picture:
    """RGB image `(H, W, 3)` in pale grey, with the pixels `where` `(H, W)` in one colour."""
    grey = np.asarray(Image.fromarray(grey_or_colours(picture)).convert("L"), np.float32)[..., None]
    pale = np.repeat(grey * 0.5 + 110, 3, axis=2).astype(np.uint8)
    return np.where(where[..., None], np.array(colour, np.uint8), pale)


def indexed(labels: Labels) -> Image.Image:
    """Classes `(H, W)` as a palette image: pixel values are the classes, the palette holds their colours."""
    image = Image.fromarray(labels, mode="L")
    image.putpalette(palette().tobytes())
    return image


def sheet(rows: Sequence[Sequence[Panel | None]], classes: Sequence[str]) -> Image.Image:
    """Panels in rows, with a legend of the class colours below.

    Args:
        rows: rows of panels, at least one panel in all; their images have the same size. None leaves a cell empty.
        classes: class names in the order of the mask values.
    """
    height, width = next(panel for row in rows for panel in row if panel).picture.shape[:2]
    scale = _SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    cell = (max(size[0], 200) + _GAP, size[1] + 2 * _TEXT + 2 * _GAP)
    columns = max(len(row) for row in rows)
    image = Image.new("RGB", (columns * cell[0] + _GAP, len(rows) * cell[1] + 3 * _TEXT), _PAPER)
    draw = ImageDraw.Draw(image)
    for at_row, row in enumerate(rows):
        for at, panel in enumerate(row):
            if panel:
                _paint(draw, image, panel, (_GAP + at * cell[0], _GAP + at_row * cell[1]), size)
    _legend(draw, classes, (_GAP, len(rows) * cell[1] + _GAP), image.width)
    return image


def _paint(
    draw: ImageDraw.ImageDraw, image: Image.Image, panel: Panel, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    left, top = corner
    image.paste(Image.fromarray(grey_or_colours(panel.picture)).resize(size, Image.Resampling.LANCZOS), corner)
    room = max(size[0], 200)
    for line, (text, ink) in enumerate(((panel.title, _INK), (panel.note, _SOFT_INK))):
        draw.text((left, top + size[1] + 3 + line * _TEXT), _shortened(draw, text, room), fill=ink, font=_font())


def _legend(draw: ImageDraw.ImageDraw, classes: Sequence[str], corner: tuple[int, int], width: int) -> None:
    left, top = corner
    for index, name in enumerate(classes):
        taken = 18 + draw.textlength(name, font=_font()) + 14
        if left + taken > width:
            draw.text((left, top), "...", fill=_INK, font=_font())
            return
        draw.rectangle((left, top + 3, left + 11, top + 14), fill=tuple(int(part) for part in palette()[index]))
        draw.text((left + 18, top), name, fill=_INK, font=_font())
        left += int(taken)


def _shortened(draw: ImageDraw.ImageDraw, text: str, room: float) -> str:
    """The text cut to `room` pixels. The end is kept: names differ more at the end than at the beginning."""
    if draw.textlength(text, font=_font()) <= room:
        return text
    while text and draw.textlength(f"...{text}", font=_font()) > room:
        text = text[1:]
    return f"...{text}"


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=12)


def _borders(labels: Labels) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour has a different class, bool `(H, W)`."""
    borders = np.zeros(labels.shape, bool)
    borders[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    borders[:-1] |= labels[:-1] != labels[1:]
    return borders


def palette() -> NDArray[np.uint8]:
    """RGB colour of each mask value, `(256, 3)`; 255 (ignored) is nearly black."""
    colours = np.zeros((256, 3), np.uint8)
    for index in range(255):
        if index < len(_FIRST):
            colours[index] = tuple(bytes.fromhex(_FIRST[index]))
        else:  # golden-angle steps: neighbours differ for any number of classes
            hue = (index * 0.381966) % 1.0
            shade = colorsys.hsv_to_rgb(hue, 0.55 + 0.35 * (index % 2), 0.9 - 0.2 * (index % 3))
            colours[index] = [round(255 * part) for part in shade]
    colours[255] = _UNKNOWN
    return colours


def comparison(sample: Sample, answers: Mapping[str, Labels], spec: ImageSpec) -> Image.Image:
    """A sheet of the image and each model's classes, with differences and, if the truth is known, wrong pixels below.

    Args:
        sample: image and true mask; a mask that is ignored everywhere means that the truth is not known.
        answers: predicted classes `(H, W)` by model name; the others are compared with the first.
        spec: names the classes.
    """
    known = sample.mask < spec.num_classes
    above: list[Panel | None] = [Panel(picture=sample.picture, title=sample.name)]
    below: list[Panel | None] = [_differences(sample, answers)]
    if known.any():
        above.append(Panel(picture=overlay(sample.picture, sample.mask), title="truth"))
        below.append(None)
    for name, labels in answers.items():
        note = ""
        if known.any():
            scores = overlap(confusion_matrix(labels, sample.mask, num_classes=spec.num_classes))
            note = f"mean IoU {percent(scores.miou)}"
            below.append(_marked(sample, (labels != sample.mask) & known, WRONG, f"wrong: {name}", int(known.sum())))
        above.append(Panel(picture=overlay(sample.picture, labels), title=name, note=note))
    return sheet([above, below] if known.any() else [[*above, *below]], spec.classes)


def _differences(sample: Sample, answers: Mapping[str, Labels]) -> Panel | None:
    """Pixels where any model predicts a different class from the first model; None for a single model."""
    reference, *others = answers.values()
    if not others:
        return None
    differ = np.any([labels != reference for labels in others], axis=0)
    return _marked(sample, differ, DIFFERENT, "where they differ", differ.size)


def _marked(sample: Sample, where: NDArray[np.bool_], colour: tuple[int, int, int], title: str, counted: int) -> Panel:
    share = percent(int(where.sum()) / counted)
    return Panel(picture=marked(sample.picture, where, colour), title=title, note=f"{share} of pixels")
