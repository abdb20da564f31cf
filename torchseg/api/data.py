"""An opened data set: images with masks to train, certify and score on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torchseg.api.options import config_for
from torchseg.config import DataConfig
from torchseg.data import Samples
from torchseg.pipeline.run.dataset import Pictures, open_pictures
from torchseg.pipeline.run.recorded_config import PICTURE_FLAGS
from torchseg.spec import ImageSpec

_PARTS = ("train", "validation", "test", "transfer")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Data:
    """A data set in its splits; `data.train[0].picture` and `.mask` are arrays.

    Attributes:
        config: the flags that name this data.
        pictures: the opened splits, as the stages take them.
        transfer_set: folder of images without masks; None if only the data set's own are used.
    """

    config: DataConfig
    pictures: Pictures
    transfer_set: Path | None = None

    @property
    def spec(self) -> ImageSpec:
        """Size of the network's input, and the classes."""
        return self.pictures.spec

    @property
    def train(self) -> Samples:
        """Training split."""
        return self.pictures.train

    @property
    def validation(self) -> Samples:
        """Validation split: the best epoch is chosen and files are certified on it."""
        return self.pictures.validation

    @property
    def test(self) -> Samples:
        """Test split: used for scores alone."""
        return self.pictures.test

    @property
    def flags(self) -> dict[str, object]:
        """Flags of any command that name this data."""
        return {name: getattr(self.config, name) for name in PICTURE_FLAGS}

    def __repr__(self) -> str:
        where = f" in {self.config.root}" if self.config.root else ""
        counts = ", ".join(f"{len(getattr(self.pictures, part))} {part}" for part in _PARTS)
        return f"Data({self.config.data}{where}: {counts}; {self.spec.describe()})"


def open_data(
    name: str = "scenes",
    *,
    root: str | Path | None = None,
    image_size: int | tuple[int, int] | None = None,
    transfer_set: str | Path | None = None,
    download: bool = False,
    channels: int = 0,
    value_range: tuple[float, float] | None = None,
    exif: Literal["apply", "ignore"] = "apply",
    patch_size: int = 0,
    patch_overlap: float = 0.0,
    mask_suffix: str = "",
    ignore_value: int | None = None,
    ignore_classes: Sequence[str] = (),
    merge: str = "",
    group: str = "auto",
    split: Literal["auto", "stratified"] = "auto",
    fold: str = "",
) -> Data:
    """Opens a data set.

    Args:
        name: `scenes` (built in, needs no files), `folder` (your own `images/` and `masks/`), an export of an
            annotation tool (`coco`, `cvat`, `labelme`, `roboflow`, `supervisely`, `voc`), or `ade20k`, `aerial`,
            `camvid`, `cityscapes`, `idd`, `oxford-pet`, `oxford-pet-binary`.
        root: the data set's folder, or the folder that holds it; `scenes` needs none.
        image_size: size of the network's input: one side, or (height, width). Default: 64 for scenes, 128 otherwise.
        transfer_set: folder of images without masks, on which a student learns from its teacher alone.
        download: downloads the data set into `root` first, where that is possible.
        channels: of the images; 0 takes as many as those of `folder` have, and 3 for the others.
        value_range: values of image files that become black and white. Default: by the depth of the files.
        exif: `apply` turns images as their EXIF orientation says, `ignore` reads the pixels as stored.
        patch_size: cuts every image into squares of this side, in pixels; 0 takes whole images.
        patch_overlap: share of a patch that overlaps with its neighbour, in [0, 1).
        mask_suffix: what the name of a mask has behind that of its image, e.g. `_mask`. Default: found from the names.
        ignore_value: a value of masks without colours that is ignored as 255 is.
        ignore_classes: names of classes whose pixels are ignored.
        merge: classes that become one, e.g. `road,parking -> drivable`; several rules are separated by semicolons.
        group: which images of `folder` stay in one split: `folder`, `none`, a regular expression of their names, or
            `auto`.
        split: `stratified` chooses the splits of `folder` by their classes, whatever lists or subfolders say.
        fold: `2/5` is the second of five folds of a cross-validation of `folder`.

    Returns:
        The opened data set. Images are read when they are indexed.

    Raises:
        ValueError: for an unknown name, a missing folder, an empty part, or masks that do not match their images.
    """
    flags: dict[str, object] = {"data": name, "root": Path(root) if root else None, "image_size": _size(image_size)}
    flags |= {"channels": channels, "value_range": value_range or "", "exif": exif}
    flags |= {"download": download, "patch_size": patch_size, "patch_overlap": patch_overlap}
    flags |= {"mask_suffix": mask_suffix, "ignore_value": ignore_value, "merge": merge}
    flags |= {"ignore_classes": list(ignore_classes), "group": group, "split": split, "fold": fold}
    config = config_for(DataConfig, flags)
    extra = Path(transfer_set) if transfer_set else None
    return Data(config=config, pictures=open_pictures(config, transfer_set=extra), transfer_set=extra)


def _size(size: int | tuple[int, int] | None) -> str | tuple[int, int]:
    """As the flag takes it."""
    return "" if size is None else str(size) if isinstance(size, int) else size
