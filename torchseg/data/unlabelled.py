"""Pictures without masks, for distillation: only the teacher's answer counts on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from torchseg.data.image_io import find_pictures, read_reduced
from torchseg.data.sample import Fit, Sample
from torchseg.spec import IGNORE_INDEX


class UnlabelledPictures:
    """Every picture directly in a folder, with a mask that is ignored everywhere."""

    def __init__(self, folder: Path) -> None:
        self.files = find_pictures(folder)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """Reads one picture; raises ValueError naming the file if it cannot be read."""
        return self.reduced(index)

    def reduced(self, index: int, fit: Fit | None = None) -> Sample:
        """As `ReducibleSamples`."""
        path = self.files[index]
        picture, size = read_reduced(path, fit)
        return Sample(name=path.stem, picture=picture, mask=np.full(size, IGNORE_INDEX, np.uint8))
