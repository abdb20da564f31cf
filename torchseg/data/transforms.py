"""Resizes images for evaluation, and makes random views of them (augmentation) for training.

Images are resampled bilinearly with antialiasing, masks by nearest neighbour, so that ignored pixels stay ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from torchseg.data.rare_crop import RareCrop
from torchseg.data.sample import ReducibleSamples, Sample, Samples

_MULTIPLE = 32  # of the sides that every network takes
_MOST_NOISE = 0.06  # standard deviation, as a share of the range of values


class ResizedSamples:
    """The same samples, resized to the network's input size; deterministic."""

    def __init__(self, samples: Samples, *, height: int, width: int) -> None:
        self.samples, self.height, self.width = samples, height, width

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Reads and resizes one sample."""
        return resize(self.samples[index], height=self.height, width=self.width)


class BoundedSamples:
    """The same samples, downscaled to what random views of `height` x `width` can use; keeps the aspect ratio.

    A view shows at least half of an image's area, so an image of twice the view's size holds all detail that a view can
    show.
    """

    def __init__(self, samples: Samples, *, height: int, width: int) -> None:
        self.samples, self.height, self.width = samples, height, width
        self._reducible = samples if isinstance(samples, ReducibleSamples) else None  # asked once: it takes long

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample, and downscales it if it is larger than needed."""
        sample = self._reducible.reduced(index, self._fit) if self._reducible else self.samples[index]
        height, width = self._fit(*sample.mask.shape)
        return resize(sample, height=height, width=width)

    def _fit(self, height: int, width: int) -> tuple[int, int]:
        scale = min(1, max(2 * self.height / height, 2 * self.width / width))
        return round(height * scale), round(width * scale)


def resize(sample: Sample, *, height: int, width: int) -> Sample:
    """Resizes a sample to `height` x `width` pixels; validation, certificates and scores all use this function."""
    if sample.mask.shape == (height, width):
        return sample
    from torchvision.transforms.v2 import functional

    picture, mask = as_tensors(sample)
    picture = functional.resize(picture, [height, width], antialias=True)
    mask = functional.resize(mask, [height, width], interpolation=functional.InterpolationMode.NEAREST)
    return Sample(name=sample.name, picture=picture.permute(1, 2, 0).numpy(), mask=mask.numpy())


def as_tensors(sample: Sample) -> tuple[Tensor, Tensor]:
    """The image as a tv_tensors.Image, uint8 `(C, H, W)`, and the mask as a tv_tensors.Mask, uint8 `(H, W)`."""
    from torchvision import tv_tensors

    picture = torch.from_numpy(np.array(sample.picture)).permute(2, 0, 1)  # channels last in memory: faster to resize
    return tv_tensors.Image(picture), tv_tensors.Mask(torch.from_numpy(np.array(sample.mask)))


def has_colours(picture: Tensor) -> bool:
    """Whether an image `(C, H, W)` is grey or RGB; the bands of others have no colours to change."""
    return picture.shape[0] in (1, 3)


class RandomView:
    """Augments a sample by random crop, scale, horizontal flip and colour jitter, all drawn from a seed.

    The colours of images other than grey and RGB stay as they are.

    Args:
        height: of the view, in pixels.
        width: of the view, in pixels. Views of half the size have the nearest multiples of 32 to half of both sides.
        upright: whether images have an up and a down; if not, views are also turned by quarters of a circle, which
            together with the flip gives all eight symmetries of a square.
        flip: whether half of the views are mirrored from side to side.
        class_shares: shares of the pixels of the training part, by class; if given, crops prefer rare classes, see
            `RareCrop`.
    """

    def __init__(
        self,
        *,
        height: int,
        width: int,
        upright: bool = True,
        flip: bool = True,
        class_shares: Sequence[float] | None = None,
    ) -> None:
        from torchvision.transforms import v2

        def geometry(size: tuple[int, int]) -> v2.Transform:
            crop = v2.RandomResizedCrop(size, scale=(0.5, 1.0), ratio=(0.8, 1.25), antialias=True)
            chosen = crop if class_shares is None else RareCrop(crop, class_shares)
            return v2.Compose([chosen, v2.RandomHorizontalFlip()] if flip else [chosen])

        self.upright = upright
        self.transform, self.half_size = geometry((height, width)), geometry((_half(height), _half(width)))
        self.colours = v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2)

    def __call__(self, sample: Sample, *, seed: int, half_size: bool = False) -> tuple[Tensor, Tensor]:
        """Image uint8 `(C, H, W)` and mask uint8 `(H, W)` of the view; the global random state is not changed."""
        with torch.random.fork_rng(devices=[]):  # torchvision's transforms can only draw from the global random state
            torch.default_generator.manual_seed(seed)  # `torch.manual_seed` also looks for GPUs, which takes longer
            transform = self.half_size if half_size else self.transform
            picture, mask = transform(*self._turned(*as_tensors(sample)))
            if has_colours(picture):
                picture = self.colours(picture)
        return picture.as_subclass(Tensor), mask.as_subclass(Tensor)

    def _turned(self, picture: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if self.upright:
            return picture, mask
        from torchvision import tv_tensors

        quarters = int(torch.randint(4, ()))
        picture, mask = (torch.rot90(each, quarters, (-2, -1)) for each in (picture, mask))
        return tv_tensors.Image(picture), tv_tensors.Mask(mask)


def _half(side: int) -> int:
    return max(1, round(side / 2 / _MULTIPLE)) * _MULTIPLE


class Distortion:
    """Distorts the colours of an image, blurs it and adds noise, all drawn from a seed; the geometry stays.

    Source: arXiv:2208.09910, section 3.1: a student that must see through strong distortions what a teacher says of the
    plain image learns more from images without masks.
    """

    def __init__(self) -> None:
        from torchvision.transforms import v2

        self.colours = v2.Compose(
            [
                v2.RandomApply([v2.ColorJitter(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.25)], p=0.8),
                v2.RandomGrayscale(p=0.2),
            ]
        )
        self.blur = v2.RandomApply([v2.GaussianBlur(5, sigma=(0.1, 1.5))], p=0.5)

    def __call__(self, picture: Tensor, *, seed: int) -> Tensor:
        """The distorted image, uint8 `(C, H, W)`, of one of the same shape; the global random state is not changed."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed + 1)  # not the view's, so that crop and colours are independent
            distorted: Tensor = self.blur(self.colours(picture) if has_colours(picture) else picture)
            noise = torch.randn(distorted.shape) * 255 * torch.empty(()).uniform_(0, _MOST_NOISE)
        return (distorted.float() + noise).round().clamp(0, 255).byte()
