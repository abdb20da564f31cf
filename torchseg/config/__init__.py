"""The flags of every command, as frozen dataclasses that validate themselves. Imports nothing heavy."""

from torchseg.config.adopt import AdoptConfig
from torchseg.config.base import (
    IO_TYPES,
    PRECISIONS,
    SCALINGS,
    SEARCH_ENGINES,
    CommonConfig,
    DataConfig,
    PrepareConfig,
)
from torchseg.config.compress import CompressConfig
from torchseg.config.compression_flags import CompressionFlags
from torchseg.config.distill import DistillConfig
from torchseg.config.export import ExportConfig, ExportFlags, VariantFlags, VerifyConfig
from torchseg.config.foreign_file import ForeignFileFlags
from torchseg.config.grid import GridConfig, MeasureConfig
from torchseg.config.import_tf import ImportConfig
from torchseg.config.score import PredictConfig, ReportConfig, ScoreConfig
from torchseg.config.search import SearchConfig
from torchseg.config.students import StudentsConfig
from torchseg.config.training import FromStartConfig, LearningConfig, TrainConfig
from torchseg.modelfile.kinds import FORMATS

__all__ = [
    "FORMATS",
    "IO_TYPES",
    "PRECISIONS",
    "SCALINGS",
    "SEARCH_ENGINES",
    "AdoptConfig",
    "CommonConfig",
    "CompressConfig",
    "CompressionFlags",
    "DataConfig",
    "DistillConfig",
    "ExportConfig",
    "ExportFlags",
    "ForeignFileFlags",
    "FromStartConfig",
    "GridConfig",
    "ImportConfig",
    "LearningConfig",
    "MeasureConfig",
    "PredictConfig",
    "PrepareConfig",
    "ReportConfig",
    "ScoreConfig",
    "SearchConfig",
    "StudentsConfig",
    "TrainConfig",
    "VariantFlags",
    "VerifyConfig",
]
