"""Trains, compresses, exports and certifies small segmentation networks; `docs/api.md` describes the functions."""

from typing import TYPE_CHECKING

from torchseg import _front_door, _torchvision

if TYPE_CHECKING:
    from torchseg.api import (
        CompressionReport,
        Data,
        ExportedFile,
        Network,
        ScoreTable,
        compress,
        export,
        load,
        open_data,
        score,
        train,
    )

__all__ = [
    "CompressionReport",
    "Data",
    "ExportedFile",
    "Network",
    "ScoreTable",
    "__version__",
    "compress",
    "export",
    "load",
    "open_data",
    "score",
    "train",
]
__version__ = "0.1.0"

_torchvision.install()
_front_door.install(__name__)

if not TYPE_CHECKING:  # else every name that does not exist would pass

    def __getattr__(name: str) -> object:
        """Imports the API, and PyTorch with it, when the first of its names is asked for."""
        if name not in __all__:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        return _front_door.find(name)

    def __dir__() -> list[str]:
        """For completion: names that are not imported yet are there, too."""
        return sorted({*globals(), *__all__})
