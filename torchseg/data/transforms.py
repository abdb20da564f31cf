"""What happens to a picture on its way into a network: once for evaluation, at random for training.

Pictures are resampled bilinearly with antialiasing, masks by their nearest value, so that an ignored pixel stays one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchseg.data.sample import ReducibleSamples, Sample, Samples


class ResizedSamples:
    """The same samples at the size that the network sees; nothing is random here."""

    def __init__(self, samples: Samples, *, height: int, width: int) -> None:
        self.samples, self.height, self.width = samples, height, width

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Reads and resizes one sample."""
        return resize(self.samples[index], height=self.height, width=self.width)


class BoundedSamples:
    """The same samples, none larger than random views of `height` x `width` can use; their shape stays.

    A view shows at least half of a picture's area, so twice the size of the view loses nothing that it could show.
    """

    def __init__(self, samples: Samples, *, height: int, width: int) -> None:
        self.samples, self.height, self.width = samples, height, width

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Reads one sample; one that is larger than it need be is resized."""
        if isinstance(self.samples, ReducibleSamples):
            sample = self.samples.reduced(index, self._fit)
        else:
            sample = self.samples[index]
        height, width = self._fit(*sample.mask.shape)
        return resize(sample, height=height, width=width)

    def _fit(self, height: int, width: int) -> tuple[int, int]:
        scale = min(1, max(2 * self.height / height, 2 * self.width / width))
        return round(height * scale), round(width * scale)


def resize(sample: Sample, *, height: int, width: int) -> Sample:
    """One sample at `height` x `width`, the same way for validation, certificates and scores."""
    if sample.mask.shape == (height, width):
        return sample
    from torchvision.transforms.v2 import functional

    picture, mask = as_tensors(sample)
    picture = functional.resize(picture, [height, width], antialias=True)
    mask = functional.resize(mask, [height, width], interpolation=functional.InterpolationMode.NEAREST)
    return Sample(name=sample.name, picture=picture.permute(1, 2, 0).numpy(), mask=mask.numpy())


def as_tensors(sample: Sample) -> tuple[Tensor, Tensor]:
    """The picture as a tv_tensors.Image, uint8 `(C, H, W)`, and the mask as a tv_tensors.Mask, uint8 `(H, W)`."""
    from torchvision import tv_tensors

    picture = torch.from_numpy(np.array(sample.picture)).permute(2, 0, 1)  # channels last: quicker to resize
    return tv_tensors.Image(picture), tv_tensors.Mask(torch.from_numpy(np.array(sample.mask)))


class RandomView:
    """A random crop, scale, mirror image and colouring of a sample, drawn from a seed.

    Args:
        height: of the view, pixels.
        width: of the view, pixels.
    """

    def __init__(self, *, height: int, width: int) -> None:
        from torchvision.transforms import v2

        self.transform = v2.Compose(
            [
                v2.RandomResizedCrop((height, width), scale=(0.5, 1.0), ratio=(0.8, 1.25), antialias=True),
                v2.RandomHorizontalFlip(),
                v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
            ]
        )

    def __call__(self, sample: Sample, *, seed: int) -> tuple[Tensor, Tensor]:
        """Picture uint8 `(C, H, W)` and mask uint8 `(H, W)` of the view; the global random state is left alone."""
        with torch.random.fork_rng(devices=[]):  # the transforms of torchvision know no other source of chance
            torch.manual_seed(seed)
            picture, mask = self.transform(*as_tensors(sample))
        return picture.as_subclass(Tensor), mask.as_subclass(Tensor)
