"""Data sets, samples, augmentation and batches of images and masks."""

from torchseg.data.batches import Batch, Batches, BatchPlan
from torchseg.data.cache import FEW_SAMPLES, CachedSamples, CacheWriter, HeldSamples, cache_files, read_in_order
from torchseg.data.file_samples import UnlabelledPictures
from torchseg.data.images.identical import image_files, shared_images
from torchseg.data.images.io import write_folder
from torchseg.data.inspection import Inspection, grouped, inspect_data, lone_class
from torchseg.data.masks.label_rules import LabelRules, parse_rules
from torchseg.data.patches import PatchPlan, PatchSamples
from torchseg.data.registry import SOURCES, open_data
from torchseg.data.sample import DataSet, Sample, Samples, UnmaskedSamples
from torchseg.data.transforms import BoundedSamples, Distortion, RandomView, ResizedSamples, resize
from torchseg.spec import GENERATED

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
    "Distortion",
    "HeldSamples",
    "Inspection",
    "LabelRules",
    "PatchPlan",
    "PatchSamples",
    "RandomView",
    "ResizedSamples",
    "Sample",
    "Samples",
    "UnlabelledPictures",
    "UnmaskedSamples",
    "cache_files",
    "grouped",
    "image_files",
    "inspect_data",
    "lone_class",
    "open_data",
    "parse_rules",
    "read_in_order",
    "resize",
    "shared_images",
    "write_folder",
]
