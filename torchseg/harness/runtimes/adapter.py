"""Between images and the arrays of a model file: colour order, layout, number format and fixed batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchseg.modelfile.layout import layout_of, to_layout, to_pixels
from torchseg.modelfile.output import OutputReader
from torchseg.modelfile.run_options import RunOptions

Run = Callable[[NDArray[Any]], Sequence[NDArray[Any]]]  # one batch in the file's layout to all outputs


class FileAdapter:
    """Feeds images to one file and reads its class scores; every runtime that opens exported files uses one.

    Args:
        shape: of the input as the file declares it; None for a dynamic dimension, empty if the file declares none.
        usual: `NCHW` or `NHWC`, whichever is usual for this kind of file.
        outputs: names of the outputs.
        pixels: integer type of the input, if the file takes values from 0 to 255; None for a file that takes floats.
        options: for a file that does not say enough.
        classes: number of classes that the file itself names; asked in predictions alone, and if the options name none.

    Raises:
        ValueError: if the input does not take images, or there is no output of the name in the options.
    """

    def __init__(
        self,
        shape: Sequence[int | None],
        *,
        usual: str,
        outputs: Sequence[str],
        pixels: type[np.integer[Any]] | None,
        options: RunOptions,
        classes: Callable[[], int | None],
    ) -> None:
        self.shape = tuple(shape) or (None,) * 4
        self.layout = layout_of(self.shape, usual="NHWC" if usual == "NHWC" else "NCHW")
        self._reader = OutputReader(outputs, layout=self.layout, options=options)
        self._options, self._pixels, self._classes = options, pixels, classes

    @property
    def note(self) -> str:
        """Which of several outputs was read; complete once the file has run."""
        return self._reader.note

    @property
    def gives_classes(self) -> bool:
        """Whether the file's output was classes and not scores; complete once it has run."""
        return self._reader.gives_classes

    def predict(self, images: NDArray[np.float32], run: Run) -> NDArray[Any]:
        """Class scores `(B, K, H, W)` of images `(B, C, H, W)`; a fixed batch is filled up with copies of an image.

        Args:
            images: normalised.
            run: runs the file on one batch.

        Raises:
            ValueError: if the file takes other images, or its outputs are not class scores.
        """
        if self._options.colour_order == "BGR":
            images = images[:, ::-1]
        batch = to_layout(images if self._pixels is None else to_pixels(images).astype(self._pixels), self.layout)
        self._check(batch.shape)
        count = self._options.classes or self._classes()
        step = self.shape[0] or len(batch)
        size = images.shape[2], images.shape[3]
        parts = []
        for start in range(0, len(batch), step):
            part = _filled(batch[start : start + step], step)
            parts.append(self._reader.read(run(part), batch=len(part), size=size, classes=count))
        return (parts[0] if len(parts) == 1 else np.concatenate(parts))[: len(batch)]

    def _check(self, shape: tuple[int, ...]) -> None:
        if all(side in (None, came) for side, came in zip(self.shape[1:], shape[1:], strict=True)):
            return
        layout = " (NHWC)" if self.layout == "NHWC" else ""
        text = f"the file takes {list(self.shape)}{layout} and {list(shape)} came"
        at = 3 if self.layout == "NHWC" else 1
        if self.shape[at] not in (None, shape[at]):
            text += f": the file is for images of {self.shape[at]} channels"
        raise ValueError(text)


def check_single_input(names: Sequence[str]) -> None:
    """Raises ValueError unless the file has one input."""
    if len(names) != 1:
        raise ValueError(
            f"the file has {len(names)} inputs ({', '.join(names)}); a file that segments images has one: export the "
            "others as constants"
        )


def _filled(batch: NDArray[Any], size: int) -> NDArray[Any]:
    missing = size - len(batch)
    return batch if missing <= 0 else np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
