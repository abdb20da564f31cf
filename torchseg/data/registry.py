"""The table of data sets. A new data set is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torchseg.data.datasets.ade20k import ade20k
from torchseg.data.datasets.aerial import aerial
from torchseg.data.datasets.camvid import camvid
from torchseg.data.datasets.cityscapes import cityscapes
from torchseg.data.datasets.coco import coco
from torchseg.data.datasets.cvat import cvat
from torchseg.data.datasets.folder import folder
from torchseg.data.datasets.idd import idd
from torchseg.data.datasets.labelme import labelme
from torchseg.data.datasets.oxford_pet import download_oxford_pet, oxford_pet, oxford_pet_binary
from torchseg.data.datasets.roboflow import roboflow
from torchseg.data.datasets.scenes import scenes
from torchseg.data.datasets.supervisely import supervisely
from torchseg.data.datasets.voc import voc
from torchseg.data.file_samples import FileSamples
from torchseg.data.images.identical import image_files
from torchseg.data.images.orientation import check_orientation, mask_size
from torchseg.data.images.reader import ANY, Exif, ImageReader, reader_for
from torchseg.data.masks.drawn import DrawnMasks
from torchseg.data.masks.label_rules import LabelRules
from torchseg.data.patches import PatchPlan, PatchSamples
from torchseg.data.sample import DataSet, Samples, UnmaskedSamples
from torchseg.data.splits.grouping import AUTO
from torchseg.spec import GENERATED, nearest

_JPEG = (".jpg", ".jpeg")  # always 8 bits


@dataclass(frozen=True, kw_only=True)
class Source:
    """Functions that open a data set on disk and, if possible, download it; both take the root folder.

    Attributes:
        open: opens the data set; takes the `options` as keyword arguments, too.
        download: downloads it; None if that is not possible.
        options: names of the options that it takes: `mask_suffix` and `ignore_value` of the `LabelRules`, `group`,
            `split` and `fold`.
        finds_channels: whether `open` also takes `images`, a reader, and finds out how many channels the images have;
            those of other data sets have 3.
    """

    open: Callable[..., DataSet]
    download: Callable[[Path], None] | None = None
    options: tuple[str, ...] = ()
    finds_channels: bool = False


_OF_FOLDER = ("mask_suffix", "ignore_value", "group", "split", "fold")
SOURCES: Mapping[str, Source] = {
    "ade20k": Source(open=ade20k),
    "aerial": Source(open=aerial),
    "camvid": Source(open=camvid),
    "cityscapes": Source(open=cityscapes),
    "coco": Source(open=coco),
    "cvat": Source(open=cvat),
    "folder": Source(open=folder, options=_OF_FOLDER, finds_channels=True),
    "idd": Source(open=idd),
    "labelme": Source(open=labelme),
    "oxford-pet": Source(open=oxford_pet, download=download_oxford_pet),
    "oxford-pet-binary": Source(open=oxford_pet_binary, download=download_oxford_pet),
    "roboflow": Source(open=roboflow),
    "supervisely": Source(open=supervisely),
    "voc": Source(open=voc),
}


def open_data(
    name: str,
    root: Path | None,
    *,
    size: tuple[int, int],
    download: bool = False,
    patches: PatchPlan | None = None,
    rules: LabelRules = LabelRules(),  # noqa: B008 - frozen
    group: str = AUTO,
    split: str = AUTO,
    fold: str = "",
    images: ImageReader = ANY,
) -> DataSet:
    """Opens a data set; images on disk keep their own size, generated ones have the requested size.

    Args:
        name: `scenes` or a key of `SOURCES`.
        root: folder of the data set, or its parent folder; `scenes` needs none.
        size: height and width of generated images, in pixels.
        download: whether to download the data set into `root` first.
        patches: cuts the images of a data set on disk into patches, after they were assigned to splits.
        rules: what masks stand for, beyond what the files say.
        group: which images of a data set without lists of its splits stay in one, see `group_images`.
        split: `stratified` chooses the splits of `folder`, whatever its lists say.
        fold: N/K for one fold of a cross-validation, of a data set without lists of its splits, see `split_by_fold`.
        images: how to read image files; 0 channels are as many as the images of `folder` have, and 3 for the others.

    Raises:
        ValueError: for an unknown name, a missing folder, damaged data, or an option that the data set lacks.
    """
    if name == GENERATED:
        if patches:
            raise ValueError(f"data set '{name}' is drawn at the size asked for; drop --patch_size")
        if fold:
            raise ValueError(f"data set '{name}' has splits of its own; drop --fold")
        if images.channels not in (0, 3):
            raise ValueError(f"data set '{name}' is drawn in 3 channels; drop --channels")
        return rules.apply(scenes(*size))
    if name not in SOURCES:
        known = [GENERATED, *SOURCES]
        raise ValueError(f"there is no data set '{name}'{nearest(name, known)}; choose from {', '.join(sorted(known))}")
    source = SOURCES[name]
    if root is None:
        raise ValueError(f"data set '{name}' is read from disk: say where with --root FOLDER")
    if download:
        if source.download is None:
            raise ValueError(f"data set '{name}' has no download; drop --download and give its folder as --root")
        source.download(root)
    if not root.is_dir():
        raise ValueError(f"there is no folder {root.resolve()}; give the folder of data set '{name}' as --root")
    options = {"mask_suffix": rules.mask_suffix, "ignore_value": rules.ignore_value, "group": group}
    options |= {"split": split, "fold": fold}
    for option, value in options.items():
        if value not in ("", None, AUTO) and option not in source.options:
            what = "splits of its own" if option in ("group", "split", "fold") else "masks of its own kind"
            raise ValueError(f"data set '{name}' has {what}; drop --{option}")
    chosen: dict[str, Any] = {option: options[option] for option in source.options}
    if source.finds_channels:
        data = rules.apply(source.open(root, images=images, **chosen))
    else:
        data = _read_with(rules.apply(source.open(root, **chosen)), images)
    if patches is None:
        return data
    return replace(
        data,
        train=_cut(data.train, patches),
        validation=_cut(data.validation, patches),
        test=_cut(data.test, patches),
        transfer=_cut(data.transfer, patches) if len(data.transfer) else (),
    )


def _read_with(data: DataSet, images: ImageReader) -> DataSet:
    """The data set with its image files read in another way; images without other word have 3 channels."""
    parts: dict[str, Any] = {part: getattr(data, part) for part in ("train", "validation", "test", "transfer")}
    _check_turned([samples for samples in parts.values() if isinstance(samples, FileSamples)], images.exif)
    may_be_deep = {path for part in parts.values() for path in image_files(part) if path.suffix.lower() not in _JPEG}
    chosen = reader_for(sorted(may_be_deep), replace(images, channels=images.channels or 3))
    parts = {part: _samples_with(samples, chosen) for part, samples in parts.items()}
    return replace(data, images=chosen, **parts)


def _check_turned(parts: Sequence[FileSamples], exif: Exif) -> None:
    """Compares masks and annotations with the EXIF orientation of their images, see `check_orientation`."""
    drawn = next((samples.read for samples in parts if isinstance(samples.read, DrawnMasks)), None)
    size_of = drawn.size if drawn else mask_size
    check_orientation([pair for samples in parts for pair in samples.pairs], exif, size_of=size_of)


def _samples_with(samples: Samples, images: ImageReader) -> Samples:
    if isinstance(samples, UnmaskedSamples):
        return UnmaskedSamples(_samples_with(samples.samples, images), ignore_index=samples.ignore_index)
    if isinstance(samples, FileSamples):
        samples = copy(samples)
        samples.images = images
    return samples


def _cut(samples: Samples, plan: PatchPlan) -> Samples:
    if isinstance(samples, UnmaskedSamples):
        return UnmaskedSamples(_cut(samples.samples, plan), ignore_index=samples.ignore_index)
    assert isinstance(samples, FileSamples)  # as every source in the table gives them
    return PatchSamples(samples, plan)
