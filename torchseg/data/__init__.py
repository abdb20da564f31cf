"""Pictures and masks in, samples and batches out."""

from torchseg.data.batches import Batch, Batches, BatchPlan
from torchseg.data.cache import CachedSamples, CacheWriter
from torchseg.data.data_set import DataSet
from torchseg.data.held_samples import HeldSamples
from torchseg.data.inspection import Inspection, inspect_data, lone_class
from torchseg.data.patches import PatchPlan, PatchSamples
from torchseg.data.read_in_order import FEW_SAMPLES, read_in_order
from torchseg.data.registry import GENERATED, SOURCES, open_data
from torchseg.data.sample import Sample, Samples
from torchseg.data.transforms import BoundedSamples, RandomView, ResizedSamples, resize
from torchseg.data.unlabelled import UnlabelledPictures
from torchseg.data.write_folder import write_folder

__all__ = [
    "FEW_SAMPLES",
    "GENERATED",
    "SOURCES",
    "Batch",
    "BatchPlan",
    "Batches",
    "BoundedSamples",
    "CacheWriter",
    "CachedSamples",
    "DataSet",
    "HeldSamples",
    "Inspection",
    "PatchPlan",
    "PatchSamples",
    "RandomView",
    "ResizedSamples",
    "Sample",
    "Samples",
    "UnlabelledPictures",
    "inspect_data",
    "lone_class",
    "open_data",
    "read_in_order",
    "resize",
    "write_folder",
]
