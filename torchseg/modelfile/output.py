"""Finds the class scores among the arrays that a model file puts out: which output, which axis, scores or classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torchseg.modelfile.layout import Layout
from torchseg.modelfile.run_options import RunOptions

Array = NDArray[np.generic]
_AUXILIARY = ("aux", "deep", "side")  # parts of the names of outputs that only help training
_RGB, _MOST_COLOURS = 3, 8  # channels; more colours than 8 are scores
_OBJECT = 127  # a mask with values from 0 to 255 shows the object above this one


@dataclass(frozen=True, kw_only=True)
class _Form:
    """One way to read an array.

    Attributes:
        channels: length of the class axis; 1 if there is none.
        height: in pixels.
        width: in pixels.
        class_axis: of the array, once it has an axis for the batch; None if there is none.
        has_batch: whether the array's first axis is the batch.
    """

    channels: int
    height: int
    width: int
    class_axis: int | None
    has_batch: bool = True

    def apply(self, array: Array) -> Array:
        """The array as `(B, channels, height, width)`."""
        batch = array if self.has_batch else array[None]
        if self.class_axis in (None, 1):
            return batch.reshape(len(batch), self.channels, self.height, self.width)
        last = batch.reshape(len(batch), self.height, self.width, self.channels)
        return last.transpose(0, 3, 1, 2)


class OutputReader:
    """Turns the outputs of one file into class scores `(B, K, H, W)`; decides at the first images and stays with it.

    Args:
        names: of the outputs, in the order of the arrays.
        layout: of the file's input, which decides where the shape of an output allows both.
        options: for a file that does not say enough.

    Raises:
        ValueError: if the output that the options name does not exist.
    """

    def __init__(self, names: Sequence[str], *, layout: Layout, options: RunOptions) -> None:
        if options.output and options.output not in names:
            raise ValueError(f"the file has no output '{options.output}'; it has {', '.join(names)}")
        self._names, self._layout, self._options = list(names), layout, options
        self._index: int | None = self._names.index(options.output) if options.output else None
        self._is_mask255 = options.kind == "mask255"
        self._has_ones = False  # values of 1 that were taken for classes
        self.note, self.gives_classes = "", False

    def read(self, outputs: Sequence[Array], *, batch: int, size: tuple[int, int], classes: int | None) -> Array:
        """Scores `(B, K, h, w)`, float32; classes become scores of 0 and 1, and a single channel stays one.

        Args:
            outputs: of the file, for one batch of images.
            batch: number of images, B.
            size: height and width of the images in pixels.
            classes: K; None if unknown.

        Raises:
            ValueError: if no output has a place for K classes of every pixel, or a value is not a class.
        """
        if self._index is None:
            self._index = self._choose(outputs, batch, size, classes)
        array = outputs[self._index]
        form = self._form(array, batch, size, classes)
        if form is None:
            raise ValueError(self._misfit(array, size, classes))
        found = form.apply(array)
        if form.channels == _RGB and array.dtype == np.uint8 and not self._options.kind:
            _check_no_painting(found)
        if form.channels == 1 and self._holds_classes(found, form, classes):
            self.gives_classes = True
            return self._one_hot(found[:, 0], classes)
        return np.ascontiguousarray(found, np.float32)

    def _choose(self, outputs: Sequence[Array], batch: int, size: tuple[int, int], classes: int | None) -> int:
        """Index of the output to read: with K classes rather than none, the main one rather than an auxiliary one."""
        if len(outputs) == 1:
            return 0
        ranks = {}
        for index, array in enumerate(outputs):
            form = self._form(array, batch, size, classes)
            if form is not None:
                auxiliary = any(part in self._names[index].lower() for part in _AUXILIARY)
                is_float = np.issubdtype(array.dtype, np.floating)  # of one channel, classes rather than confidences
                size_rank = -form.height * form.width
                ranks[index] = (form.channels == 1, auxiliary, form.channels == 1 and is_float, size_rank, index)
        if not ranks:
            shapes = ", ".join(f"{name} {list(each.shape)}" for name, each in zip(self._names, outputs, strict=True))
            raise ValueError(f"none of the outputs has {_wanted(classes)} of every pixel: {shapes}; export that output")
        chosen = min(ranks, key=lambda index: ranks[index])
        if len(ranks) > 1:
            others = ", ".join(self._names[index] for index in ranks if index != chosen)
            self.note = f"output '{self._names[chosen]}' was read; --output takes another of them: {others}"
        return chosen

    def _form(self, array: Array, batch: int, size: tuple[int, int], classes: int | None) -> _Form | None:
        """The best way to read an array; None if there is none."""
        forms = list(_forms(array.shape, batch, size))
        if batch == 1 and not forms:
            forms = [_without_batch(each) for each in _forms((1, *array.shape), batch, size)]
        usual = 1 if self._layout == "NCHW" else array.ndim - 1

        def rank(form: _Form) -> tuple[bool, bool, bool]:
            is_row = array.ndim + (not form.has_batch) == 3 and form.class_axis is not None  # pixels in a row are rare
            return form.channels != classes, is_row, form.class_axis != usual

        fitting = [each for each in forms if classes is None or each.channels in (1, classes)]
        return min(fitting, key=rank, default=None)

    def _misfit(self, array: Array, size: tuple[int, int], classes: int | None) -> str:
        shape, (height, width) = list(array.shape), size
        counts = sorted({each.channels for each in _forms(array.shape, len(array) if array.ndim else 1, size)})
        if classes is not None and counts:
            return f"the file gives {counts[0]} classes and {classes} are expected (its output has shape {shape})"
        return (
            f"the output has shape {shape} for {height}x{width} images; expected {_wanted(classes)} of every pixel, "
            "as (B, K, H, W): export that output"
        )

    def _holds_classes(self, values: Array, form: _Form, classes: int | None) -> bool:
        """Whether single values per pixel are classes, not scores of the object."""
        if self._options.kind in ("logit", "probability"):
            return False
        if self._options.kind == "classes" or not np.issubdtype(values.dtype, np.floating):
            return True
        needs_classes = (classes or 0) > 2
        scores = np.asarray(values, np.float32)
        whole = bool(np.all((scores >= 0) & (scores == np.rint(scores))))
        if needs_classes and not whole:
            raise ValueError("the file gives one number per pixel that is not a class; export scores of all classes")
        return needs_classes or (classes is None and form.class_axis is None and whole)

    def _one_hot(self, values: Array, classes: int | None) -> Array:
        """Classes `(B, H, W)` as scores of 0 and 1, `(B, K, H, W)`."""
        codes = np.rint(values.astype(np.float32))
        if classes == 2 and codes.max() > _OBJECT and not self._is_mask255:
            if self._has_ones:
                raise ValueError(
                    f"the file's first values were the classes 0 and 1, and now they run to {int(codes.max())}; say "
                    "what they are: --output_kind"
                )
            self._is_mask255 = True
        self._has_ones |= not self._is_mask255 and bool((codes == 1).any())
        if self._is_mask255:
            codes = (codes > _OBJECT).astype(np.float32)
        count = classes or max(2, int(codes.max()) + 1)
        if codes.min() < 0 or codes.max() >= count:
            wrong = int(codes.min() if codes.min() < 0 else codes.max())
            raise ValueError(
                f"the file gives the class {wrong} and {count} classes are expected, 0 to {count - 1}; if its values "
                "are no classes, say what they are: --output_kind"
            )
        return np.asarray(np.arange(count)[:, None, None] == codes[:, None], np.float32)


def _check_no_painting(values: Array) -> None:
    """Raises a ValueError if three channels of 8 bits are a picture of classes in colours, and no scores."""
    red, green, blue = (values[:, channel].astype(np.int32) for channel in range(_RGB))
    colours = np.unique(red << 16 | green << 8 | blue)
    is_shared_out = np.ptp(red + green + blue) <= 2 * _RGB  # rounded probabilities have one sum
    is_on_or_off = len(np.unique(values)) <= 2  # a threshold was applied to each class
    if 1 < len(colours) <= _MOST_COLOURS and not is_shared_out and not is_on_or_off:
        raise ValueError(
            f"the output shows {len(colours)} colours, as a painted mask does, and no scores; export the classes or "
            "their scores, or say that these are scores: --output_kind logit"
        )


def _forms(shape: Sequence[int], batch: int, size: tuple[int, int]) -> list[_Form]:
    """Every way to read an array of this shape, whose first axis is the batch."""
    if len(shape) < 3 or shape[0] != batch:
        return []
    if len(shape) == 3:
        found = [_Form(channels=1, height=shape[1], width=shape[2], class_axis=None)]
        for axis in (1, 2):
            sides = _sides(shape[3 - axis], size)
            found += [_Form(channels=shape[axis], height=sides[0], width=sides[1], class_axis=axis)] if sides else []
    elif len(shape) == 4:
        found = [
            _Form(channels=shape[1], height=shape[2], width=shape[3], class_axis=1),
            _Form(channels=shape[3], height=shape[1], width=shape[2], class_axis=3),
        ]
    else:
        return []
    return [each for each in found if _is_scaled((each.height, each.width), size)]


def _is_scaled(sides: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether an array with these sides may show an image of this size, up to the rounding of a stride."""
    return min(sides) > 0 and abs(sides[0] * size[1] - sides[1] * size[0]) <= max(size)


def _sides(pixels: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """Height and width of that many pixels in a row, for images of this size; None if there are none."""
    for stride in (1, 2, 4, 8, 16, 32):
        sides = -(-size[0] // stride), -(-size[1] // stride)
        if sides[0] * sides[1] == pixels:
            return sides
    return None


def _without_batch(form: _Form) -> _Form:
    return _Form(
        channels=form.channels, height=form.height, width=form.width, class_axis=form.class_axis, has_batch=False
    )


def _wanted(classes: int | None) -> str:
    return "the scores of all classes" if classes is None else f"scores of {classes} classes, or the class,"
