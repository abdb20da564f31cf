"""Pictures and masks in, samples and batches out."""

from torchseg.data.batches import Batch, Batches, BatchPlan
from torchseg.data.data_set import DataSet
from torchseg.data.held_samples import HeldSamples
from torchseg.data.open import GENERATED, SOURCES, open_data
from torchseg.data.patches import PatchPlan, PatchSamples
from torchseg.data.sample import Sample, Samples
from torchseg.data.transforms import RandomView, ResizedSamples, resize
from torchseg.data.unlabelled import UnlabelledPictures

__all__ = [
    "GENERATED",
    "SOURCES",
    "Batch",
    "BatchPlan",
    "Batches",
    "DataSet",
    "HeldSamples",
    "PatchPlan",
    "PatchSamples",
    "RandomView",
    "ResizedSamples",
    "Sample",
    "Samples",
    "UnlabelledPictures",
    "open_data",
    "resize",
]
