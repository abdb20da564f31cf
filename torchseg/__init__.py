"""Trains, compresses, exports and certifies small segmentation networks: docs/reference/api.md."""

from typing import TYPE_CHECKING

from torchseg import _callable_packages, _torchvision

if TYPE_CHECKING:
    from torchseg.api import (
        CompressionReport,
        Data,
        ExportedFile,
        Network,
        ScoreTable,
        adopt,
        compress,
        export,
        load,
        open_data,
        score,
        train,
        trust_code,
    )

__all__ = [
    "CompressionReport",
    "Data",
    "ExportedFile",
    "Network",
    "ScoreTable",
    "__version__",
    "adopt",
    "compress",
    "export",
    "load",
    "open_data",
    "score",
    "train",
    "trust_code",
]
__version__ = "0.2.0"

_torchvision.install()
_callable_packages.install(__name__)

if not TYPE_CHECKING:  # a type checker would accept any name

    def __getattr__(name: str) -> object:
        """Imports the API, and PyTorch with it, when one of its names is first used."""
        if name not in __all__:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        return _callable_packages.find(name)

    def __dir__() -> list[str]:
        """Also lists the names that are not imported yet, for completion."""
        return sorted({*globals(), *__all__})
