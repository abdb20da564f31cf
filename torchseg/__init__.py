"""Trains, compresses, exports and certifies small segmentation networks."""

from torchseg import _torchvision

__all__ = ["__version__"]
__version__ = "0.1.0"

_torchvision.install()
