"""Pictures without masks, for distillation: only the teacher's answer counts on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from torchseg.data.picture_file import find_pictures, read_picture
from torchseg.data.sample import Sample
from torchseg.spec import IGNORE_INDEX


class UnlabelledPictures:
    """Every picture directly in a folder, with a mask that is ignored everywhere."""

    def __init__(self, folder: Path) -> None:
        self.files = find_pictures(folder)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        """Reads one picture; raises ValueError naming the file if it cannot be read."""
        picture = read_picture(self.files[index])
        mask = np.full(picture.shape[:2], IGNORE_INDEX, np.uint8)
        return Sample(name=self.files[index].stem, picture=picture, mask=mask)
