"""What the commands do, as functions for a notebook; `torchseg` itself hands them out."""

from torchseg.api.data import Data, open_data
from torchseg.api.files import ExportedFile, ScoreTable, export, score
from torchseg.api.network import Network, load
from torchseg.api.training import CompressionReport, compress, train

__all__ = [
    "CompressionReport",
    "Data",
    "ExportedFile",
    "Network",
    "ScoreTable",
    "compress",
    "export",
    "load",
    "open_data",
    "score",
    "train",
]
